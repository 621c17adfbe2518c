"""What goes wrong with flames, by the verbs: one line that says what to do, exit 2, no file."""

import pytest

pytestmark = pytest.mark.usefixtures("solves_here")

SPEEDS = "phi,p [atm],T_in [K],s_L [cm/s]\n"
INLET = "phi,p [atm],T_in [K]"
KNOWN = ("--p", 101325, "--t-in", 300, "--phi", 0.8)
LOG_A = '[problem.unknown.rates."{}".log_a]\nuncertainty_factor = 2.0\n'
RATE = LOG_A.format("H + O2 <=> O + OH")
CONDUCTIVITY = '[problem.unknown.conductivity]\nkind = "log-normal"\nmedian = 0.026\nstd = 0.1\n'
ENERGY = '[problem.unknown.activation_energy]\nkind = "log-normal"\nmedian = 83680.0\nstd = 0.03\n'


def refused(done, out, said):
    """Exit 2, one line with these words, and nothing written."""
    assert done.exit_code == 2, done.output
    line = done.stderr.strip().splitlines()
    assert len(line) == 1, done.stderr
    assert all(word in line[0] for word in said), line[0]
    assert not out.exists()


@pytest.mark.parametrize(
    ("problem", "keys", "unknown", "said"),
    [
        # a mechanism without a named species, or without a file
        ("flame-cantera", 'mechanism = "nowhere.yaml"', RATE, ["'nowhere.yaml' is no file"]),
        ("flame-cantera", "fuel = { CH4 = 1.0 }", RATE, ["h2o2.yaml has no species 'CH4'"]),
        ("flame-cantera", 'species = ["0H"]', RATE, ["no species '0H'", "did you mean"]),
        ("flame-species", "oxidizer = { O2 = 0.21, Ar = 0.79 }", ENERGY, ["unknown key", "Ar"]),
        # equivalence ratios outside the flammable range
        ("flame", "equivalence_ratio = 1.7", CONDUCTIVITY, ["equivalence_ratio", "1.7"]),
        ("flame-species", "equivalence_ratio = 2.4", ENERGY, ["equivalence_ratio", "2.4"]),
        ("flame-cantera", "equivalence_ratio = 30.0", RATE, ["30", "outside the flammable range"]),
        # temperatures in degrees Celsius without units
        ("flame", "inlet_temperature = 25.0", CONDUCTIVITY, ["inlet_temperature", "25"]),
        ("flame-species", "inlet_temperature = 25.0", ENERGY, ["inlet_temperature", "25"]),
        ("flame-cantera", "inlet_temperature = 25.0", RATE, ["inlet_temperature", "25"]),
        # compositions that do not sum to 1
        ("flame-cantera", "fuel = { H2 = 0.5 }", RATE, ["fuel", "must sum to 1", "0.5"]),
        ("flame-cantera", "oxidizer = { O2 = 0.21, N2 = 0.8 }", RATE, ["must sum to 1", "1.01"]),
        ("flame-species", "oxidizer = { O2 = 0.3, N2 = 0.6 }", ENERGY, ["must sum to 1", "0.9"]),
        # unknown reactions
        ("flame-cantera", "", LOG_A.format("H + O2 <=> HO2"), ["has no reaction"]),
        ("flame-cantera", "", LOG_A.format("29"), ["they run from 0 to 28"]),
        # flames that go out
        ("flame-species", "length = 1e-4", ENERGY, ["no flame at the middle of the priors"]),
        ("flame-cantera", "length = 5e-4", RATE, ["does not fit into a domain of 0.0005 m"]),
    ],
)  # fmt: skip
def test_a_flame_that_makes_no_sense_is_refused(call, tmp_path, problem, keys, unknown, said):
    config, out = tmp_path / "run.toml", tmp_path / "out.nc"
    config.write_text(f'[problem]\nname = "{problem}"\n{keys}\n\n{unknown}')
    done = call("solve", "--config", config, "--m", "mean", "--seed", 1, "--out", out)
    refused(done, out, said)


@pytest.mark.parametrize(
    ("problem", "text", "more", "said"),
    [
        # temperatures in degrees Celsius without units, or with those of kelvin
        ("flame", "x [mm],T\n0.5,800\n", KNOWN, ["column T has no units"]),
        ("flame", "s_L [m/s],phi,p [atm],T_in [K]\n.3,.4,1,25\n", (), ["T_in", "Celsius"]),
        ("flame-species", "x [mm],T\n7,800\n", KNOWN, ["column T has no units"]),
        ("flame-cantera", SPEEDS.replace(" [K]", "") + ".8,1,25,150\n", (), ["T_in has no units"]),
        ("flame-species", f"x [mm],T [K],{INLET}\n7,800,.8,1,25\n", (), ["T_in", "Celsius"]),
        ("flame-cantera", SPEEDS + ".8,1,25,150\n", (), ["line 2: T_in", "Celsius"]),
        # equivalence ratios outside the flammable range
        ("flame", "s_L [m/s],phi,p [atm],T_in [K]\n.3,1.4,1,300\n", (), ["flammable", "1.4"]),
        ("flame-species", f"x [mm],T [K],{INLET}\n7,800,2.8,1,300\n", (), ["phi", "flammable"]),
        # a species, a fuel and a sum that the mechanism does not have
        ("flame-cantera", SPEEDS + ".8,1,298,9\n", ("--fuel", "CH4:1"), ["no species 'CH4'"]),
        ("flame-cantera", SPEEDS + ".8,1,298,9\n", ("--fuel", "H2:.5"), ["must sum to 1"]),
        ("flame-species", f"x [mm],Y_H2,{INLET}\n7,.1,.8,1,300\n", (), ["'y_h2' is not known"]),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(call, tmp_path, problem, text, more, said):
    table, out = tmp_path / "table.csv", tmp_path / "obs.nc"
    table.write_text(text)
    done = call("import", problem, "csv", table, "--rel", 0.02, *more, "--out", out)
    refused(done, out, said)


@pytest.mark.parametrize(
    ("problem", "text", "more", "said"),
    [
        ("flame", "x [mm],T [K]\n700,900\n", (*KNOWN[:-1], 0.4), "lies outside the domain"),
        ("flame-species", "x [mm],T [K]\n700,900\n", KNOWN, "lies outside the domain"),
        ("flame-cantera", SPEEDS + "30,1,298,150\n", (), "phi = 30 lies outside the flammable"),
    ],
)
def test_data_outside_the_flame_are_refused(call, tmp_path, problem, text, more, said):
    """What only the domain and the gas of the inversion tell."""
    table, obs, out = tmp_path / "table.csv", tmp_path / "obs.nc", tmp_path / "result.nc"
    table.write_text(text)
    made = call("import", problem, "csv", table, "--rel", 0.02, *more, "--out", obs)
    assert made.exit_code == 0, made.stderr
    done = call("invert", obs, "--engine", "map", "--seed", 1, "--out", out)
    refused(done, out, [said])


@pytest.mark.parametrize(
    ("problem", "place"), [("flame", 0.002), ("flame-species", 0.03), ("flame-cantera", 0.05)]
)
def test_positions_outside_the_domain_are_refused(call, tmp_path, problem, place):
    out = tmp_path / "obs.nc"
    done = call("generate", problem, "--sensors", f"list:{place}@T", "--n", 2, "--seed", 1,
                "--out", out)  # fmt: skip
    refused(done, out, ["lies outside the domain"])
