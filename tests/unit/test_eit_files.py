"""Observation files over several dimensions, files of impedance tomography, and reciprocity."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pdeinv.config import merge
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.observations import NoiseSpec, Observations, read, to_dataset
from pdeinv.jobs.invert.run import Inversion
from pdeinv.jobs.observe import make_observations, make_truth
from pdeinv.problems.eit import Eit, EitConfig, Measured
from pdeinv.problems.eit.frames import files
from pdeinv.problems.eit.frames.reciprocity import reciprocity

CONFIG = {"cells": 8, "electrodes": {"count": 8, "cells": 2}}
ENGINE = {"engine": {"name": "map"}}


def problem(**settings):
    return Eit(EitConfig.model_validate({**CONFIG, **settings}))


def written(folder, **settings):
    """An observation file and the problem behind it."""
    body = problem(**settings)
    m = body.prior().unwhiten(np.random.default_rng(4).standard_normal(body.prior().dim))
    make_truth(body, m, seed=1).to_netcdf(folder / "truth.nc")
    dataset = make_observations(folder / "truth.nc", "all", NoiseSpec(rel=0.005), seed=2)
    dataset.to_netcdf(folder / "obs.nc")
    return body, folder / "obs.nc"


def measured(**change):
    table = np.arange(12.0).reshape(3, 4) * 1e-3
    current = 1e-3 * (np.eye(4)[:3] - np.eye(4)[1:])
    pattern = np.eye(4) - np.roll(np.eye(4), 1, axis=1)
    arrays = {
        "voltage": table,
        "current": current,
        "pattern": pattern,
        "angles": np.arange(4) * 90.0,
        "radius": 0.1,
        "widths": 0.02,
        "impedance": 1e-3,
        "sigma": 1e-5,
    }
    return Measured(**{**arrays, **change})


@pytest.mark.parametrize("settings", [{}, {"frequency": 1e5}], ids=["real", "complex"])
def test_a_written_file_is_an_array_with_gaps_and_is_read_as_it_was(tmp_path, settings):
    body, path = written(tmp_path, **settings)
    with xr.open_dataset(path) as dataset:
        dims = ("injection", "measurement", *(["component"] if settings else []))
        assert dataset["voltage"].dims == dims
        assert "featureType" not in dataset.attrs
        assert int(dataset["voltage"].isnull().sum()) == 3 * 8 * (2 if settings else 1)
        assert dataset["current"].dims == ("injection", "electrode")
        np.testing.assert_allclose(dataset["current"].sum("electrode"), 0, atol=1e-15)
        for variable in dataset.variables.values():
            assert {"units", "long_name"} <= set(variable.attrs)
    data = read(path, body.observed)
    rows = body.sensors("all")
    assert data.n_dropped == 0
    for name in rows:
        np.testing.assert_array_equal(data.coords[name], rows[name])


def test_flagged_data_are_dropped_and_gaps_are_not_counted(tmp_path):
    body, path = written(tmp_path)
    with xr.open_dataset(path) as dataset:
        flags = xr.zeros_like(dataset["voltage"], dtype=int)
        flags[2, 5] = 1
        dataset.assign(voltage_qc=flags).load().to_netcdf(tmp_path / "flagged.nc")
    data = read(tmp_path / "flagged.nc", body.observed)
    assert (data.size, data.n_dropped) == (39, 1)


def test_transposed_arrays_and_missing_numbers_are_understood(tmp_path):
    body, path = written(tmp_path)
    with xr.open_dataset(path) as dataset:
        turned = dataset.transpose("measurement", "injection", ...).drop_vars(list(dataset.coords))
        turned.load().to_netcdf(tmp_path / "turned.nc")
    a, b = read(path, body.observed), read(tmp_path / "turned.nc", body.observed)
    np.testing.assert_array_equal(a.values, b.values)
    np.testing.assert_array_equal(a.noise.std, b.noise.std)


def test_other_dimensions_are_refused(tmp_path):
    body, path = written(tmp_path)
    with xr.open_dataset(path) as dataset:
        dataset[["voltage"]].rename(injection="frame").load().to_netcdf(tmp_path / "frames.nc")
        lost = dataset[["voltage"]].load()
    with pytest.raises(DataSchemaError, match=r"must have the dimensions \(injection, measurement"):
        read(tmp_path / "frames.nc", body.observed)
    (lost * np.nan).to_netcdf(tmp_path / "lost.nc")
    with pytest.raises(DataSchemaError, match="no usable datum of 'voltage'"):
        read(tmp_path / "lost.nc", body.observed)


def test_data_with_a_covariance_or_twice_the_same_pair_stay_a_list():
    observed = problem().observed
    where = {"injection": np.array([0.0, 0.0]), "measurement": np.array([2.0, 2.0])}
    noise = NoiseSpec(std=1.0).for_values(np.ones(2))
    assert "obs" in to_dataset(Observations(observed, np.ones(2), where, noise), {}).dims


def foreign(path, change=None):
    """The file as somebody else would have written it, with one thing changed."""
    with xr.open_dataset(path) as dataset:
        found = dataset.load()
    for name in ("pdeinv_problem_config", "pdeinv_problem", "pdeinv_kind", "pdeinv_config"):
        del found.attrs[name]
    if change is not None:
        change(found)
    found.to_netcdf(path.with_name("foreign.nc"))
    table = {"name": "eit", "cells": 8, "electrodes": {"cells": 2}}
    return Inversion.resolve({"problem": table, **ENGINE}, path.with_name("foreign.nc"))


@pytest.mark.parametrize("more", [{}, {"frequency": 50.0}], ids=str)
def test_a_file_without_configuration_supplies_its_experiment(more, tmp_path):
    body, path = written(tmp_path, domain={"kind": "disc", "radius": 0.2}, **more)
    found = foreign(path)
    config = found.problem.config
    assert config.domain.radius == pytest.approx(0.2)
    assert config.frequency == body.config.frequency
    m = np.full(body.prior().space.size, 1.3)
    mine, theirs = (
        p.forward_model(found.observations.coords)(m) for p in (body, found.problem)
    )  # fmt: skip
    np.testing.assert_allclose(theirs, mine, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("current", "mA"),
        ("electrode_x", "mm"),
        ("electrode_width", "mm"),
        ("contact_impedance", "ohm cm2"),
        ("frequency", "kHz"),
        ("current", None),
    ],
)
def test_an_experiment_in_other_units_is_refused(name, units, tmp_path):
    def change(dataset):
        dataset[name].attrs.pop("units")
        dataset[name].attrs |= {} if units is None else {"units": units}

    _, path = written(tmp_path, frequency=50.0)
    said = "has no units attribute" if units is None else f"has units '{units}', the problem works"
    with pytest.raises(DataSchemaError, match=f"foreign.nc: '{name}' {said}"):
        foreign(path, change)


def test_arrays_become_a_file_that_is_inverted(tmp_path):
    dataset = files.to_dataset(measured(), config={"cells": 6}, attrs={"source": "a tank"})
    dataset.to_netcdf(tmp_path / "obs.nc")
    found = Inversion.resolve(ENGINE, tmp_path / "obs.nc")
    assert found.observations.size == 12
    assert found.problem.config.drive.current == pytest.approx(1e-3)
    np.testing.assert_allclose(found.problem.protocol.sheet.drives, measured().current)
    assert found.problem.config.electrodes.impedance == (1e-3,) * 4
    places = found.problem.domain.electrode_places()[0]
    np.testing.assert_allclose(places, measured().places(), atol=1e-6)


def test_a_reference_frame_makes_differences_and_complex_voltages_two_components():
    values = measured().voltage * (1 + 0.5j)
    dataset = files.to_dataset(
        measured(voltage=values, reference=0.5 * values), config={"frequency": 5e4}
    )
    np.testing.assert_allclose(dataset["voltage"][..., 1], 0.25 * measured().voltage)
    assert "difference = true" in dataset.attrs["pdeinv_problem_config"]


def test_what_was_not_measured_has_no_imaginary_part_either():
    values = measured().voltage * (1 + 0.5j)
    values[1, 2] = np.nan  # NaN + 0j
    dataset = files.to_dataset(measured(voltage=values), config={"frequency": 5e4})
    np.testing.assert_array_equal(dataset["voltage"].isnull().sum(("injection", "measurement")), 1)


BAD = {
    "few": ({"voltage": np.zeros((3, 3))}, r"voltage has shape \(3, 3\), the patterns ask for .*4"),
    "electrodes": (
        {"pattern": np.eye(5)},
        r"the same electrodes, got shapes \(3, 4\) and \(5, 5\)",
    ),
    "places": ({"angles": np.zeros(3)}, "3 electrode places for 4 electrodes"),
    "nowhere": ({"radius": None}, "give positions, or angles with the tank's radius"),
    "leak": ({"current": np.eye(4)[:3]}, "currents of injection 0 sum to 1 A, expected 0"),
    "contact": ({"impedance": 0.0}, "contact impedances must be positive"),
}


@pytest.mark.parametrize(("change", "text"), BAD.values(), ids=list(BAD))
def test_arrays_that_do_not_fit_together_are_refused(change, text):
    with pytest.raises(DataSchemaError, match=text):
        files.to_dataset(measured(**change))


def test_positions_off_the_tank_are_refused_when_read(tmp_path):
    places = measured().places()
    places[1] *= 0.8
    domain = {"domain": {"kind": "disc", "radius": 0.1}}
    files.to_dataset(measured(angles=None, positions=places), config=domain).to_netcdf(
        tmp_path / "obs.nc"
    )
    with pytest.raises(ConfigError, match=r"electrode 1 .* off the boundary"):
        Inversion.resolve(ENGINE, tmp_path / "obs.nc")


def reading(path, out, change, noise=0.002, parts=(0, 1), **settings):
    """The file with voltages as an instrument with other measuring electrodes gives them.

    Of complex voltages ``parts`` says which, real or imaginary, are changed.
    """
    body = problem(**settings)
    m = body.prior().unwhiten(np.random.default_rng(4).standard_normal(body.prior().dim))
    x = body.forward_model(body.sensors("all"), 1).state(m).value
    sheet = body.protocol.sheet
    right, wrong = (sheet.drives @ x @ rows.T for rows in (sheet.measures, change(sheet.measures)))
    tables = [(wrong if k in parts else right) for k in (0, 1)]
    table = np.stack([tables[0].real, tables[1].imag], axis=-1)
    table *= 1 + noise * np.random.default_rng(0).standard_normal(right.shape)[..., None]
    table[~body.protocol.measured] = np.nan
    with xr.open_dataset(path) as dataset:
        found = dataset.load()
    found["voltage"][:] = table if body.config.complex else table[..., 0]
    found.to_netcdf(out)
    return Inversion.resolve(ENGINE, Path(out)).notes


def swapped(a, b):
    def change(measures):
        found = measures.copy()
        found[:, [a, b]] = measures[:, [b, a]]
        return found

    return change


READINGS = {
    "swapped": (swapped(2, 5), "electrodes 2 and 5 (counted from 0) are swapped"),
    "shifted": (
        lambda rows: np.roll(rows, 3, axis=1),
        "rotated against those of drives (numbers 3 too low)",
    ),
    "reversed": (
        lambda rows: np.roll(rows[:, ::-1], 1, axis=1),
        "mirrored against those of drives",
    ),
}


@pytest.mark.parametrize(("change", "text"), READINGS.values(), ids=list(READINGS))
def test_another_electrode_order_breaks_reciprocity_and_is_named(tmp_path, change, text):
    _, path = written(tmp_path)
    (note,) = reading(path, tmp_path / "wrong.nc", change)
    assert note.startswith("reciprocity fails")
    assert text in note


CAPACITIVE = {"frequency": 1e5, "permittivity": {"kind": "constant", "value": 1e-7}}


@pytest.mark.parametrize(
    ("parts", "start"),
    [((0, 1), ""), ((0,), "real part: "), ((1,), "imaginary part: ")],
    ids=["both", "real", "imaginary"],
)
def test_another_electrode_order_is_named_for_complex_voltages(tmp_path, parts, start):
    change, text = READINGS["swapped"]
    _, path = written(tmp_path, **CAPACITIVE)
    (note,) = reading(path, tmp_path / "wrong.nc", change, parts=parts, **CAPACITIVE)
    assert note.startswith(f"{start}reciprocity fails")
    assert text in note


@pytest.mark.parametrize("settings", [{}, CAPACITIVE], ids=["real", "complex"])
def test_the_right_order_is_silent(tmp_path, settings):
    _, path = written(tmp_path, **settings)
    assert reading(path, tmp_path / "right.nc", lambda rows: rows, **settings) == ()


def test_reciprocity_of_predicted_voltages_holds_to_rounding():
    body = problem(domain={"kind": "thorax"}, drive={"pattern": {"kind": "skip", "skip": 1}},
                   measure={"pattern": {"kind": "skip", "skip": 1, "sign": -1}})  # fmt: skip
    m = body.prior().unwhiten(np.random.default_rng(4).standard_normal(body.prior().dim))
    model = body.forward_model(body.sensors("all"))
    table = model.table(model.state(m))
    sheet, places = body.protocol.sheet, body.domain.electrode_places()[0]
    found = reciprocity(sheet.drives, sheet.measures, table, places)
    # two rings of four electrodes: pairs span six dimensions, symmetric tables of them 6 * 7 / 2
    assert found.relations == 8 * 8 - 21
    assert found.error < 1e-10
    assert found.fits


def test_a_table_of_another_kind_replaces_the_one_below():
    base = {"unknown": {"kind": "a", "length": 1}, "cells": 2}
    over = {"unknown": {"kind": "b", "std": 3}}
    assert merge(base, over) == {"unknown": {"kind": "b", "std": 3}, "cells": 2}
    assert merge(base, {"unknown": {"std": 3}})["unknown"] == {"kind": "a", "length": 1, "std": 3}
