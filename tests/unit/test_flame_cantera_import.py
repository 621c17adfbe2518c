"""Tables of flame speeds and profiles, and flames that Cantera saved, as observation files."""

import cantera as ct
import numpy as np
import pytest
from cantera_flames import saved_burner

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.observations import NoiseSpec, read
from pdeinv.jobs.import_data import import_file
from pdeinv.plugins.case import read_case


def table(tmp_path, text, **options):
    (tmp_path / "t.csv").write_text(text)
    return import_file("flame-cantera", "csv", tmp_path / "t.csv", options)


def test_speeds_come_in_the_units_of_the_field(tmp_path):
    text = "phi,p [atm],T_in [degC],s_L [cm/s]\n0.8,1,25,150\n1.2,3,25,250\n"
    found = table(tmp_path, text, rel=0.02)
    np.testing.assert_allclose(found["s_L"], [1.5, 2.5])
    np.testing.assert_allclose(found["s_L_sigma"], [0.03, 0.05])
    np.testing.assert_allclose(found["p"], [101325.0, 303975.0])
    np.testing.assert_allclose(found["T_in"], 298.15)
    netcdf.write(tmp_path / "t.nc", found)
    case = read_case(tmp_path / "t.nc", {}, NoiseSpec())
    assert case.problem.config.equivalence_ratio == 0.8
    np.testing.assert_array_equal(case.observations.coords["phi"], [0.8, 1.2])


def test_profiles_name_their_species(tmp_path):
    text = "x [mm],T [K],X_OH,Y_H2O [%],X_OH_sigma\n1,900,0.001,10,0.0001\n2,1500,,15,\n"
    own = {"configuration": "burner", "p": 101325.0, "t_in": 300.0, "phi": 0.8, "mass_flux": 0.5}
    found = table(tmp_path, text, rel=0.02, **own)
    np.testing.assert_allclose(found["Y_H2O"], [0.1, 0.15])
    np.testing.assert_allclose(found["X_OH"][0], 0.001)
    netcdf.write(tmp_path / "t.nc", found)
    case = read_case(tmp_path / "t.nc", {}, NoiseSpec())
    assert case.problem.config.species == ("OH", "H2O")
    assert case.problem.config.mass_flux == 0.5
    assert case.observations.size == 5


GIVEN = {"p": 101325.0, "t_in": 300.0, "phi": 0.8}
SPEEDS = "phi,p [atm],T_in [K],s_L [cm/s]\n"


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("phi,p [atm],T_in,s_L [cm/s]\n0.8,1,25,150\n", {}, "column T_in has no units"),
        (SPEEDS + "0.8,1,25,150\n", {}, r"line 2: T_in must be from 200 to 1500 K .*Celsius"),
        (SPEEDS + "0.8,1,298,-3\n", {}, "line 2: s_L must be positive"),
        (SPEEDS + "0.8,1e-5,298,150\n", {}, r"p must be from 1000 .*atm or bar"),
        (SPEEDS + "0.8,1,298,150\n", {"phi": 0.8}, "the column phi is there twice"),
        ("phi,s_L [cm/s]\n0.8,150\n", {"t_in": 298.0}, "the column p is not there; give it"),
        (SPEEDS + "0.8,1,298,150\n", {"rel": None}, "no noise given for s_L"),
        ("x [mm],T [K]\n1,900\n", GIVEN, "column T is a profile, and a free flame has no place"),
        ("x [mm],X_CO\n1,0.1\n", {}, "of a species that the mechanism has not"),
        (SPEEDS.replace("s_L", "speed") + "1,1,298,1\n", {}, "column 'speed .*' is not known"),
    ],
)
def test_tables_that_make_no_sense_are_refused(tmp_path, text, options, said):
    with pytest.raises(DataSchemaError, match=said):
        table(tmp_path, text, **{"rel": 0.02, **options})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fuel": "H2:0.5"}, "must sum to 1"),
        ({"fuel": "H2"}, r"--fuel: expected NAME:FRACTION,\.\.\., got 'H2'"),
        ({"mechanism": "nowhere.yaml"}, "mechanism 'nowhere.yaml' is no file"),
        ({"fuel": "CH4:1"}, "has no species 'CH4'"),
    ],
)
def test_a_gas_that_makes_no_sense_is_refused(tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        table(tmp_path, SPEEDS + "0.8,1,298,150\n", rel=0.02, **options)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A burner flame as Cantera saves it, each way."""
    folder = tmp_path_factory.mktemp("saved")
    return folder, saved_burner(folder, ratio=3, slope=0.1, curve=0.2)


@pytest.mark.parametrize("suffix", ["csv", "yaml", "h5"])
def test_a_flame_that_cantera_saved_is_read(saved, tmp_path, suffix):
    folder, flame = saved
    if not (folder / f"flame.{suffix}").exists():
        pytest.skip("this build of Cantera writes no HDF5")
    options = {"configuration": "burner", "quantities": "T,X_OH", "every": 5, "group": "burner"}
    options |= {"length": 0.02, "rel": 0.02} | ({"phi": 0.8} if suffix == "csv" else {})
    found = import_file("flame-cantera", "cantera", folder / f"flame.{suffix}", options)
    np.testing.assert_allclose(found["T"], flame.T[::5], rtol=1e-6)
    np.testing.assert_allclose(found["X_OH"], flame.X[4][::5], atol=1e-8)
    np.testing.assert_allclose(found["x"], flame.grid[::5], atol=1e-8)
    np.testing.assert_allclose(found["T_sigma"], 0.02 * flame.T[::5].max(), rtol=1e-6)
    netcdf.write(tmp_path / "t.nc", found)
    config = read_case(tmp_path / "t.nc", {}, NoiseSpec()).problem.config
    assert config.equivalence_ratio == pytest.approx(0.8, rel=1e-9)
    assert config.mass_flux == pytest.approx(0.4, rel=1e-5)
    assert read(tmp_path / "t.nc", read_case(tmp_path / "t.nc", {}, NoiseSpec()).problem.observed)


def test_of_a_free_flame_its_speed_is_taken(tmp_path):
    gas = ct.Solution("h2o2.yaml")
    gas.set_equivalence_ratio(1.2, "H2", {"O2": 0.21, "N2": 0.79})
    gas.TP = 300.0, 2e5
    flame = ct.FreeFlame(gas, width=0.02)
    flame.set_refine_criteria(ratio=3, slope=0.2, curve=0.3)
    flame.solve(loglevel=0)
    flame.save(tmp_path / "free.yaml")
    found = import_file("flame-cantera", "cantera", tmp_path / "free.yaml", {})
    assert list(found.data_vars) == ["s_L", "s_L_sigma"]
    np.testing.assert_allclose(found["s_L"], [flame.velocity[0]], rtol=1e-6)
    np.testing.assert_allclose([found["phi"][0], found["p"][0]], [1.2, 2e5], rtol=1e-6)
    options = {"offset": "0,0.005", "quantities": "T,X_OH", "every": 8}
    found = import_file("flame-cantera", "cantera", tmp_path / "free.yaml", options)
    np.testing.assert_allclose(found["T"], flame.T[::8], rtol=1e-6)
    options |= {"quantities": "s_L"}
    with pytest.raises(DataSchemaError, match="--quantities s_L: expected some of"):
        import_file("flame-cantera", "cantera", tmp_path / "free.yaml", options)


def test_fractions_that_vanish_have_noise_by_their_largest_value(tmp_path):
    text = "x [mm],T [K],X_OH\n1,300,6e-21\n2,1500,0.01\n3,1600,\n"
    own = {"configuration": "burner", "mass_flux": 0.5, **GIVEN}
    found = table(tmp_path, text, rel=0.02, **own)
    np.testing.assert_allclose(found["X_OH_sigma"][:2], 2e-4)
    np.testing.assert_allclose(found["T_sigma"], 0.02 * found["T"])


def test_profiles_of_a_free_flame_have_an_unknown_place(tmp_path):
    text = "x [mm],T [K],p [atm],T_in [K],phi\n-2,300,1,298,1\n0,900,1,298,1\n3,2200,1,298,1\n"
    netcdf.write(tmp_path / "t.nc", table(tmp_path, text, rel=0.02, offset="-0.01,0.003"))
    case = read_case(tmp_path / "t.nc", {}, NoiseSpec())
    assert case.problem.config.unknown.rates == {}
    assert case.problem.prior().space.names == ("offset",)
    np.testing.assert_allclose(case.observations.coords["x"], [-0.002, 0.0, 0.003])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"offset": "2"}, r"--offset: expected MEAN,STD in m, got '2'"),
        ({"offset": "0,-1"}, "unknown.offset.std"),
        ({"offset": "nan,1"}, "unknown.offset.mean"),
        ({"offset": "0,1", "configuration": "burner", "mass_flux": 1.0}, "= 'free' only"),
    ],
)
def test_an_offset_that_makes_no_sense_is_refused(tmp_path, options, said):
    with pytest.raises(ConfigError, match=said):
        table(tmp_path, "x [mm],T [K]\n1,900\n", **{"rel": 0.02, **GIVEN, **options})


@pytest.mark.parametrize(("column", "value"), [("T", "warm"), ("T", "-300"), ("velocity", "nan")])
def test_columns_that_no_flame_can_have_are_refused_in_one_line(column, value, saved, tmp_path):
    head, first, *rest = (saved[0] / "flame.csv").read_text().splitlines()
    cells = first.split(",")
    cells[head.split(",").index(column)] = value
    (tmp_path / "flame.csv").write_text("\n".join([head, ",".join(cells), *rest]))
    options = {"configuration": "burner", "phi": 0.8, "length": 0.02}
    with pytest.raises(DataSchemaError, match="Cantera reads no flame of this mechanism") as found:
        import_file("flame-cantera", "cantera", tmp_path / "flame.csv", options)
    assert "\n" not in str(found.value)


def test_files_that_are_no_flames_are_refused(saved, tmp_path):
    folder, _ = saved
    (folder / "flame.txt").write_text("1")
    for path, options, said in (
        (folder / "flame.yaml", {}, "Cantera reads no flame of this mechanism there"),
        (folder / "flame.txt", {}, "expected a file that ends in"),
        (folder / "flame.csv", {}, "rises from the inlet on, which is no free flame's"),
        (folder / "flame.csv", {"quantities": "T"}, "leave --quantities and --every out"),
        (folder / "flame.csv", {"configuration": "burner"}, "CSV does not hold the mixture.*--phi"),
        (folder / "flame.yaml", {"group": "burner", "configuration": "burner",
                                 "quantities": "CO"}, "--quantities CO: expected some of T, u"),
    ):  # fmt: skip
        with pytest.raises(DataSchemaError, match=said) as caught:
            import_file("flame-cantera", "cantera", path, options)
        assert "\n" not in str(caught.value)
