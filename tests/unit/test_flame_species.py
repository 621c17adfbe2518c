"""Flames of five species: configuration, sensors, tables of others, and the text of every error."""

import sys

import numpy as np
import pytest

from pdeinv.config import parse
from pdeinv.errors import ConfigError, DataSchemaError, MissingDependency, SolverDiverged
from pdeinv.io import netcdf
from pdeinv.io.observations import read
from pdeinv.jobs.import_data import import_file
from pdeinv.problems.flame.species import FlameSpecies, SpeciesConfig, gas
from pdeinv.problems.flame.species.flames import setting_of
from pdeinv.problems.flame.species.gas import SPECIES

COARSE = {"slope": 0.15, "curve": 0.3}
BETWEEN = {"configuration": "counterflow", **COARSE}
NORMAL = {"kind": "normal", "mean": 1.0, "std": 0.1}


def flame(table=None):
    return FlameSpecies(parse(SpeciesConfig, {**COARSE, **(table or {})}, "problem"))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"equivalence_ratio": 2.4}, "equivalence_ratio: input should be less than or equal to 1"),
        ({"length": 1e9}, "length: input should be less than or equal to 10"),
        ({"pressure": 1.0}, r"problem.pressure: .*is p = 1 in atm or bar\?"),
        ({"unknown": {"pressure": NORMAL}}, r"unknown.pressure.*is p = 1 in atm or bar\?"),
        ({"inlet_temperature": 25.0}, "problem.inlet_temperature: input should be greater than or"),
        ({"oxidizer": {"O2": 0.3, "N2": 0.6}}, "must sum to 1; these sum to 0.9"),
        ({"oxidizer": {"N2": 1.0}}, "oxidizer has no O2"),
        ({"oxidizer": {"O2": 0.21, "Ar": 0.79}}, "unknown key"),
        ({"opposed": {"N2": 1.2, "O2": -0.2}}, "opposed.O2: input should be greater than or"),
        ({"unknown": {"mass_flux": NORMAL}}, "unknown.mass_flux has no effect .* 'free'"),
        (
            {**BETWEEN, "unknown": {"fixed_temperature": NORMAL}},
            "unknown.fixed_temperature has no effect .* 'counterflow'",
        ),
        ({"fixed_temperature": 310.0}, "fixed_temperature must be 50 K above inlet_temperature"),
        ({"unknown": {}}, "expected a prior of at least one of pre_exponential"),
        ({"configuration": "burner"}, "problem.configuration: input should be 'free' or 'counter"),
        ({"activation_enrgy": 1e5}, "did you mean 'activation_energy'"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(table, said):
    with pytest.raises(ConfigError, match=said):
        flame(table)


@pytest.mark.parametrize(
    ("table", "spec", "said"),
    [
        ({}, "list:0.03", "lies outside the domain"),
        ({}, "grid:5@T,Y_H2", "'T,Y_H2' not understood; expected PLACES"),
        ({}, "speed:0.8,2.3", r"phi must be in the flammable range 0.4 to 1.8; got 2.3"),
        ({}, "grid:5@V", "is of V, which a flame with configuration 'free' does not have"),
        (BETWEEN, "speed", "is of s_L, which a flame with configuration 'counterflow' does not"),
    ],
)
def test_sensors_that_make_no_sense_are_refused(table, spec, said):
    with pytest.raises(ConfigError, match=said):
        flame(table).sensors(spec)


def test_sensors_are_profiles_of_every_field_and_speeds():
    found = flame().sensors("list:0.005;0.006@T,Y_N2+speed:0.8,1.1")
    np.testing.assert_array_equal(found["quantity"], [1, 1, 8, 8, 0, 0])
    np.testing.assert_array_equal(found["phi"], [0.8, 0.8, 0.8, 0.8, 0.8, 1.1])


def test_a_flame_that_goes_out_is_an_error_and_no_profile():
    problem = flame({**BETWEEN, "unknown": {"mass_flux": {**NORMAL, "kind": "normal"}}})
    model = problem.forward_model(problem.sensors("grid:5@T"))
    with pytest.raises(SolverDiverged, match=r"extinguished|no steady flame|did not converge|lead"):
        model(np.array([40.0]))
    with pytest.raises(SolverDiverged, match="mass flux must be positive and finite"):
        model(np.array([-1.0]))


def test_a_domain_without_a_flame_is_told_before_anything_is_sought():
    problem = flame({"length": 1e-4})
    with pytest.raises(ConfigError, match="no flame at the middle of the priors"):
        problem.forward_model(problem.sensors("speed"))


def test_an_equivalence_ratio_beyond_the_range_is_refused_by_the_model():
    problem = flame(
        {"unknown": {"equivalence_ratio": {"kind": "uniform", "low": 0.7, "high": 0.9}}}
    )
    model = problem.forward_model(problem.sensors("speed"))
    with pytest.raises(SolverDiverged, match=r"must lie in the flammable range 0.4 to 1.8, got 3"):
        model(np.array([3.0]))


@pytest.mark.parametrize("level", [-9, 9])
def test_levels_without_end_are_refused(level):
    with pytest.raises(ConfigError, match="level must be from -3 to 6"):
        flame().dofs(level)


def test_without_cantera_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cantera", None)
    gas.coefficients.cache_clear()
    try:
        with pytest.raises(MissingDependency, match=r"package cantera.*'\.\[flame\]'"):
            gas.coefficients()
    finally:
        gas.coefficients.cache_clear()


def test_an_inlet_that_is_sought_is_of_one_experiment():
    problem = flame(
        {"unknown": {"equivalence_ratio": {"kind": "uniform", "low": 0.7, "high": 0.9}}}
    )
    places = {**problem.sensors("speed"), "phi": np.array([0.9])}
    with pytest.raises(DataSchemaError, match="equivalence_ratio is sought, so that data must be"):
        problem.forward_model(places)


def test_results_report_the_eigenvalue_and_profiles():
    for table, name in (({}, "s_L"), (BETWEEN, "Lambda"), (BETWEEN, "strain_rate")):
        problem = flame(table)
        m = problem.prior().unwhiten(np.zeros(2))
        derived, fields = problem.derived(0), problem.solve(m, 0)
        found = derived.space.unpack(derived.values(m))
        assert float(found[name]) == pytest.approx(float(fields[name]), rel=1e-12)
        there = np.interp(found["x"], fields["x"], fields["Y_CO2"])
        np.testing.assert_allclose(found["Y_CO2"], there, atol=2e-3)


def test_mass_is_conserved_and_elements_with_it():
    """What flows in flows out: Σ Y = 1, and as much carbon leaves a free flame as entered."""
    problem = flame()
    fields = problem.solve(problem.prior().unwhiten(np.zeros(2)), 0)
    parts = np.array([fields[f"Y_{name}"].values for name in SPECIES])
    np.testing.assert_allclose(parts.sum(axis=0), 1.0, atol=1e-12)
    weights = gas.coefficients().weights
    carbon = (parts / weights[:, None])[[SPECIES.index("CH4"), SPECIES.index("CO2")]].sum(axis=0)
    entered, _ = setting_of(problem.config).inlet(problem.config.known)
    assert carbon[-1] == pytest.approx((entered / weights)[[2, 3]].sum(), rel=1e-6)


def table(tmp_path, text, **options):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return import_file("flame-species", "csv", path, options)


def test_a_table_with_units_becomes_an_observation_file(tmp_path):
    text = "x [mm],T [degC],Y_CH4 [%],V [1/s],phi,p [atm],T_in [degC]\n7,800,1.5,,0.8,1,27\n"
    made = table(tmp_path, text, rel=0.02)
    netcdf.write(tmp_path / "obs.nc", made)
    assert len(read(tmp_path / "obs.nc", FlameSpecies.observed).values) == 2
    assert float(made["T"][0]) == pytest.approx(1073.15)
    assert float(made["Y_CH4"][0]) == pytest.approx(0.015)
    assert float(made["p"][0]) == 101325.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x [mm],T,phi,p [atm],T_in [K]\n7,800,0.8,1,300\n", "column T has no units"),
        ("x [mm],T [K],phi,p [atm],T_in [K]\n7,1200,2.8,1,300\n", "line 2: phi must be in the fl"),
        ("x [mm],Y_O2,phi,p [atm],T_in [K]\n7,1.9,0.8,1,300\n", "line 2: Y_O2 must be from 0 to 1"),
        ("x [mm],Y_H2,phi,p [atm],T_in [K]\n7,0.1,0.8,1,300\n", "column 'y_h2' is not known"),
    ],
)
def test_tables_that_make_no_sense_are_refused(tmp_path, text, said):
    with pytest.raises(DataSchemaError, match=said):
        table(tmp_path, text, rel=0.02)
