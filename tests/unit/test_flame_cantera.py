"""Flames with detailed chemistry: configuration, sensors, and the text of every error."""

import numpy as np
import pytest

from pdeinv.bayes.noise import Noise
from pdeinv.config import parse
from pdeinv.errors import ConfigError, DataSchemaError, MissingDependency, SolverDiverged
from pdeinv.io.observations import Observations
from pdeinv.problems.flame.detailed import DetailedConfig, FlameCantera
from pdeinv.problems.flame.detailed.mechanism import gas_of, reactions
from pdeinv.problems.flame.detailed.rates import sought_rates

RATE = {"H + O2 <=> O + OH": {"log_a": {"uncertainty_factor": 2.0}}}

ONE = {"kind": "normal", "mean": 1.0, "std": 0.1}


def flame(**table):
    return FlameCantera(parse(DetailedConfig, table, "problem"))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"fuel": {"H2": 0.5}}, "problem.fuel: mole fractions must sum to 1, these to 0.5"),
        ({"oxidizer": {"O2": 0.21, "N2": 0.8}}, "must sum to 1, these to 1.01"),
        ({"inlet_temperature": 25.0}, "inlet_temperature: input should be greater than or equal"),
        ({"length": 1e9}, "length: input should be less than or equal to 10"),
        ({"pressure": 1.0}, r"is p = 1 in atm or bar\?"),
        ({"unknown": {"pressure": ONE}}, r"unknown.pressure.*is p = 1 in atm or bar\?"),
        ({"soret": True}, "soret needs transport = 'multicomponent'"),
        ({"temperatures": {"x": [0.0, 0.01], "T": [300.0, 900.0]}}, "'burner' only"),
        ({"temperatures": {"x": [0.0], "T": []}}, "at least two increasing x and as many T"),
        ({"unknown": {}}, "expected a prior of at least one of rates, equivalence_ratio"),
        ({"unknown": {"rates": {"0": {}}}}, "expected a prior of log_a, b or ea"),
        ({"unknown": {"rates": {"0": {"log_a": {}}}}}, "either uncertainty_factor or std"),
        ({"species": ["OH", "OH"]}, "species are named twice"),
        ({"mechanism_sha256": "0" * 64}, "mechanism h2o2.yaml is another one than the file"),
        ({"mechanizm": "h2o2.yaml"}, "did you mean 'mechanism'"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(table, said):
    with pytest.raises(ConfigError, match=said):
        flame(**table)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"mechanism": "nowhere.yaml"}, "mechanism 'nowhere.yaml' is no file, neither here nor"),
        ({"phase": "plasma"}, "mechanism h2o2.yaml: .*plasma"),
        ({"fuel": {"CH4": 1.0}}, "mechanism h2o2.yaml has no species 'CH4'"),
        ({"species": ["0H"]}, "has no species '0H'; did you mean"),
        ({"unknown": {"rates": {"H + O2 <=> HO2": RATE["H + O2 <=> O + OH"]}}}, "has no reaction"),
        ({"unknown": {"rates": {"29": RATE["H + O2 <=> O + OH"]}}}, "they run from 0 to 28"),
        ({"unknown": {"rates": {**RATE, "10": RATE["H + O2 <=> O + OH"]}}}, "are one reaction"),
    ],
)
def test_what_the_mechanism_does_not_hold_is_refused(table, said):
    with pytest.raises(ConfigError, match=said) as caught:
        flame(**table).prior()
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_mechanism_is_refused_in_one_line(tmp_path):
    (tmp_path / "bad.yaml").write_text("phases: 3\n")
    with pytest.raises(ConfigError, match=r"mechanism .*bad\.yaml: ") as caught:
        flame(mechanism=str(tmp_path / "bad.yaml")).prior()
    assert "\n" not in str(caught.value)


def test_what_a_mechanism_holds_is_part_of_the_configuration(tmp_path):
    import cantera

    path = tmp_path / "own.yaml"
    cantera.Solution("h2o2.yaml").write_yaml(path)
    first = flame(mechanism=str(path)).config
    path.write_text(path.read_text() + "# another one\n")
    assert flame(mechanism=str(path)).config.mechanism_sha256 != first.mechanism_sha256
    with pytest.raises(ConfigError, match="another one than the file was made with"):
        parse(DetailedConfig, first.model_dump(mode="json"), "problem")


def test_cantera_that_is_not_installed_names_the_extra(monkeypatch):
    def without(name):
        raise ModuleNotFoundError("No module named 'cantera'", name="cantera")

    monkeypatch.setattr("pdeinv.extras.import_module", without)
    with pytest.raises(MissingDependency, match=r"'flame-cantera' needs .*cantera.*\[flame\]"):
        flame().prior()


@pytest.mark.parametrize(
    ("table", "spec", "said"),
    [
        ({}, "list:0.05", "lies outside the domain"),
        ({}, "grid:5@T,CO", r"'T,CO' not understood; .*X_OH.*problem\.species"),
        ({}, "grid:5@T,T", "not understood"),
        ({}, "speed:fast", "expected speed:PHI,PHI"),
        ({}, "speed:0.8,1e5", "phi must be from 0.001 to 1000; got 100000"),
        ({}, "nowhere.csv", "not understood, and no such file"),
        ({"configuration": "burner"}, "speed", "not understood, and no such file"),
    ],
)
def test_sensors_that_make_no_sense_are_refused(table, spec, said):
    with pytest.raises(ConfigError, match=said):
        flame(**table).sensors(spec)


def test_sensors_are_profiles_and_speeds():
    found = flame().sensors("list:0.01;0.02@T,X_OH+speed:0.8,1.2")
    np.testing.assert_array_equal(found["quantity"], [1, 1, 6, 6, 0, 0])
    np.testing.assert_array_equal(found["x"], [0.01, 0.02, 0.01, 0.02, 0, 0])
    np.testing.assert_array_equal(found["phi"], [1, 1, 1, 1, 0.8, 1.2])
    np.testing.assert_array_equal(found["mass_flux"], 0)
    burner = flame(configuration="burner", mass_flux=0.4).sensors("list:0.01@Y_OH")
    np.testing.assert_array_equal(burner["quantity"], [9])
    np.testing.assert_array_equal(burner["mass_flux"], [0.4])


def test_sensors_from_a_file_take_what_is_missing_from_the_configuration(tmp_path):
    path = tmp_path / "sensors.csv"
    path.write_text("quantity,x,T_in\nX_OH,0.01,300\ns_L,,400\n")
    found = flame().sensors(str(path))
    np.testing.assert_array_equal(found["quantity"], [6, 0])
    np.testing.assert_array_equal(found["T_in"], [300, 400])
    np.testing.assert_array_equal(found["p"], 101325)
    for text, said in (("x\n1\n", "header of quantity"), ("quantity,x\nW,0.1\n", "among s_l, t")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=said):
            flame().sensors(str(path))


@pytest.mark.parametrize(
    ("coordinate", "value", "said"),
    [
        ("p", 1.0, r"p must be from 1000 to 1e\+08 Pa \(is it in atm or bar\?\); got 1"),
        ("T_in", 25.0, r"T_in must be from 200 to 1500 K \(is it in degrees Celsius\?\); got 25"),
        ("quantity", 10.0, "quantity 10; expected 0 to"),
        ("x", 0.1, "lies outside the domain"),
        ("phi", 0.05, "phi = 0.05 lies outside the flammable range: burnt gas of"),
        ("phi", 30.0, "phi = 30 lies outside the flammable range"),
    ],
)
def test_data_that_no_flame_has_are_refused(coordinate, value, said):
    problem = flame(species=["OH"])
    sensors = {**problem.sensors("grid:3@T"), coordinate: np.full(3, value)}
    with pytest.raises(DataSchemaError, match=said):
        problem.forward_model(sensors)


def test_a_state_of_the_inlet_that_is_sought_is_of_one_experiment():
    problem = flame(unknown={"pressure": {"kind": "normal", "mean": 1e5, "std": 1e3}})
    places = {**problem.sensors("speed"), "p": np.array([2e5])}
    with pytest.raises(DataSchemaError, match="pressure is sought, so that data must be of one"):
        problem.forward_model(places)


def test_a_flame_that_goes_out_is_an_error_and_no_profile():
    problem = flame(configuration="diffusion", length=0.02)
    out = problem.forward_model(problem.sensors("grid:5"))
    with pytest.raises(SolverDiverged, match=r"went out|finds no flame"):
        out(np.array([-4.0, -4.0]))
    blown = flame(
        configuration="diffusion", length=0.01, mass_flux=40.0, opposed={"mass_flux": 40.0}
    )
    with pytest.raises(ConfigError, match="no flame at the middle of the priors"):
        blown.forward_model(blown.sensors("grid:5"))


def test_a_domain_that_cuts_the_flame_is_refused():
    short = flame(length=5e-4)
    with pytest.raises(ConfigError, match=r"does not fit into a domain of 0\.0005 m"):
        short.forward_model(short.sensors("speed"))


def test_values_that_no_mechanism_has_are_refused():
    problem = flame()
    with pytest.raises(SolverDiverged, match="log_a_10 = 50 is beyond what a flame has"):
        problem.forward_model(problem.sensors("speed"))(np.array([50.0, 0.0]))


def test_duplicates_of_an_equation_are_sought_together():
    config = parse(DetailedConfig, {"unknown": {"rates": {"2 HO2 <=> H2O2 + O2": {
        "log_a": {"std": 0.1}, "b": {"std": 0.1}}}}}, "")  # fmt: skip
    gas = gas_of(config)
    assert reactions(config, gas, " 2 HO2<=>H2O2 + O2") == [26, 27]
    found = sought_rates(config, gas)
    assert [one.name for one in found] == ["log_a_26", "b_26"]
    assert found[0].labels == ("1", "log10 of the pre-exponential factor over that of the "
                               "mechanism, 2 HO2 <=> H2O2 + O2")  # fmt: skip


def test_an_uncertainty_factor_is_two_standard_deviations_of_log10():
    (variable,) = flame(unknown={"rates": RATE}).prior().space.variables
    assert variable.name == "log_a_10"
    prior = flame(unknown={"rates": RATE}).prior()
    assert prior.unwhiten(np.array([2.0]))[0] == pytest.approx(np.log10(2.0))


def test_profiles_of_a_free_flame_on_one_grid_get_a_remark():
    offset = {"kind": "normal", "std": 1e-3}
    for spec, table, said in (
        ("grid:5@T", {"unknown": {"offset": offset}}, 1),
        ("grid:5@T", {"unknown": {"offset": offset}, "extrapolate": True}, 0),
        ("speed", {}, 0),
        ("grid:5@T", {"configuration": "burner"}, 0),
    ):
        problem = flame(**table)
        places = problem.sensors(spec)
        n = len(places["x"])
        seen = Observations(problem.observed, np.ones(n), places, Noise(np.ones(n)))
        assert len(problem.remarks(seen)) == said
