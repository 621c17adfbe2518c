"""The seismic problem by its pieces: configuration, sensors, time steps, files, errors."""

import numpy as np
import pytest
import xarray as xr

from pdeinv.bayes.noise import Noise
from pdeinv.config import parse
from pdeinv.errors import ConfigError, DataSchemaError, SolverDiverged
from pdeinv.io.observations import Observations
from pdeinv.jobs.import_data import import_file
from pdeinv.problems.seismic import Seismic, SeismicConfig
from pdeinv.problems.seismic.clock import Clock
from pdeinv.problems.seismic.elements import fastest_rate, lobatto
from pdeinv.problems.seismic.medium import Layers, OnCells, overlap
from pdeinv.problems.seismic.places import tables_of
from pdeinv.problems.seismic.wavelet import ricker

CONSTANT = {"kind": "uniform", "low": 1800.0, "high": 3200.0}


def made(**table):
    return Seismic(parse(SeismicConfig, table, "problem"))


def of(columns):
    return {k: np.asarray(v, dtype=float) for k, v in columns.items()}


# --- configuration ---------------------------------------------------------------------------

WRONG = {
    "unstable step": (
        {"time": {"step": 0.0025}},
        r"time\.step: 0\.0025 s on level 0 is unstable for velocities up to 4555 m s-1; the largest"
        r" stable step is 0\.001467 s: lower time\.step",
    ),
    "step that is no part": (
        {"time": {"step": 0.0011}},
        r"time\.step: expected time\.record = 0\.005 s over a whole number, got 0\.0011 s",
    ),
    "coarse mesh": (
        {"cells": 4},
        r"level 0: 2\.3 nodes per shortest wavelength \(1852 m s-1 at 20 Hz, 2\.5 times the peak\) "
        r"are too few; expected at least 2\.5 \(5 for accuracy\): this level needs 5 x 5 cells",
    ),
    "km/s": (
        {"unknown": {"kind": "bounded", "low": 1.5, "high": 4.5}},
        r"the prior's velocities go from 1\.5 to 4\.5; expected between 100 and 20000 m s-1\. Are "
        r"they in km/s",
    ),
    "source outside": (
        {"survey": {"sources": [[10.0, 20.0], [700.0, 20.0]]}},
        r"survey: source 1 at \(x, y\) = \(700, 20\) m is outside \[0, 640\] x \[0, 640\]; correct "
        r"its coordinates \(y is the depth, downwards\)",
    ),
    "coordinates in other units": (
        {"survey": {"sources": [[100.0, 20.0]], "receivers": [[0.0, 20.0], [70000.0, 20.0]]}},
        r"receiver 1 at \(x, y\) = \(70000, 20\) m is outside .* a receiver at 109 times its size"
        r"\. Is it in other units, or counted from elsewhere \(feet, scaled, projected\)\?",
    ),
    "wavelet after the run": (
        {"source": {"frequency": 2.0}},
        r"source: the wavelet of 2 Hz has its peak at 0\.55 s, after the run's end at 0\.5 s: no "
        r"waves; raise source\.frequency or time\.final, or give source\.delay",
    ),
    "wavelet cut at the start": (
        {"source": {"delay": 0.02}},
        r"source\.delay: the wavelet is cut off at t = 0, where it is 0\.38 of its peak; expected "
        r"a delay of about 1\.1/frequency = 0\.138 s, got 0\.02 s",
    ),
    "receiver on the surface": (
        {"boundary": {"top": "free"}, "survey": {"receivers": [[10.0, 0.0]]}},
        r"receiver 0 .* below the free surface y = 0 where u = 0",
    ),
    "few samples": (
        {"time": {"record": 0.03}},
        r"time\.record: 0\.03 s between samples miss the frequencies up to 2\.5 x 8 Hz",
    ),
    "layers": (
        {"unknown": {"kind": "layers", "thicknesses": [100.0, 50.0]}},
        r"velocities: expected 3, one more than thicknesses, got 2",
    ),
    "bounds": (
        {"unknown": {"kind": "bounded", "low": 3000.0, "high": 2000.0}},
        r"low must be less than high, got low 3000, high 2000",
    ),
    "coarse grid": (
        {"model": "deepwave", "deepwave": {"spacing": 40.0}},
        r"level 0: 2\.3 nodes per shortest wavelength .* deepwave\.spacing must be at most 37\.0",
    ),
    "unstable step of differences": (
        {"model": "deepwave", "time": {"step": 0.0025}},
        r"time\.step: 0\.0025 s on level 0 is unstable .* largest stable step is 0\.00149 s",
    ),
    "spread at the top": (
        {"unknown": {"kind": "bounded", "std": 0.5, "top_std": 2.0}},
        r"top_std: expected at most std 0\.5, which is that of the bottom, got 2",
    ),
    "accuracy": ({"deepwave": {"accuracy": 5}}, r"problem\.deepwave\.accuracy"),
    "model": ({"model": "ray-tracing"}, r"problem\.model: .*spectral-elements"),
    "preset": ({"preset": "marmousi"}, r"problem\.preset: .*openfwi"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_configurations_are_refused_in_one_line(case):
    table, message = WRONG[case]
    with pytest.raises(ConfigError, match=message) as found:
        parse(SeismicConfig, table, "problem")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(("preset", "shots", "receivers", "samples", "every"), [
    ("openfwi", 5, 70, 1000, 2), ("transmission", 8, 64, 500, 2),
])  # fmt: skip
def test_presets(preset, shots, receivers, samples, every):
    problem = made(preset=preset)
    config = problem.config
    assert (len(config.sources), len(config.receivers)) == (shots, receivers)
    clock = problem.discretisation(0).clock
    assert (clock.samples, clock.every) == (samples, every)
    assert problem.remarks(observations(problem, "shots:0+receivers:30@0.5")) == ()
    changed = made(preset=preset, source={"frequency": 4.0}, unknown={"kind": "layers"})
    assert changed.config.survey == config.survey
    assert (changed.config.source.frequency, changed.config.source.delay) == (4.0, None)


def test_a_preset_keeps_what_its_table_says():
    problem = made(preset="openfwi", unknown={"low": 1600.0})
    assert (problem.config.unknown.low, problem.config.unknown.high) == (1600.0, 4500.0)


def test_steps_are_a_whole_part_of_a_sample_and_halve_per_level():
    problem = made()
    clocks = {k: problem.discretisation(k).clock for k in (-1, 0, 1)}
    assert [clocks[k].every for k in (-1, 0, 1)] == [2, 4, 7]
    given = made(time={"step": 0.00125})
    assert [given.discretisation(k).clock.every for k in (-1, 0, 1)] == [2, 4, 8]
    for clock in clocks.values():
        np.testing.assert_allclose(clock.times[[0, -1]], [0.005, 0.5], rtol=1e-14)
        assert clock.dt * 4555 <= clock.stable


# --- sensors -----------------------------------------------------------------------------------


def test_sensors_are_read():
    problem = made()
    found = problem.sensors("all")
    assert {k: len(np.unique(v)) for k, v in found.items()} == {
        "shot": 2, "receiver": 8, "time": 100,
    }  # fmt: skip
    np.testing.assert_allclose(found["time"][:3], [0.005, 0.01, 0.015])
    found = problem.sensors("shots:1+receivers:0-7/3,5@0.1:0.3:3")
    assert sorted(set(found["receiver"])) == [0, 3, 5, 6]
    assert len(found["shot"]) == 12
    found = problem.sensors("receivers:2@0.25")
    assert found["shot"].tolist() == [0, 1]
    found = problem.sensors("list:0,3,0.1;1,2,0")
    assert found["time"].tolist() == [0.1, 0.0]


def test_sensors_come_from_a_file(tmp_path):
    (tmp_path / "s.csv").write_text("time,shot,receiver\n0.1,1,3\n0.2,0,3\n")
    found = made().sensors(str(tmp_path / "s.csv"))
    assert found["shot"].tolist() == [1, 0]
    assert found["time"].tolist() == [0.1, 0.2]


@pytest.mark.parametrize(("text", "message"), [
    ("grid:3x3", "not understood; expected PICKS"),
    ("shots:0+shots:1", "not understood"),
    ("shots:a", "numbers 'a' not understood"),
    ("shots:2", "datum 0 is of shot 2; the survey has shots 0 to 1"),
    ("receivers:0-9", "receiver 8; the survey has receivers 0 to 7"),
    ("all@0.1:x:3", "times '0.1:x:3' not understood"),
    ("all@0.7", r"lies outside the run \[0, 0.5\]"),
    ("all@0.0123", "lies between two samples, which are 0.005 s apart; set time.record"),
    ("all@0.1,0.1", "a datum is there twice"),
    ("receivers:1,1", "a datum is there twice"),
    ("list:0,1", "expected rows of finite numbers shot,receiver,time"),
])  # fmt: skip
def test_sensors_that_are_none_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        made().sensors(text)


def test_at_rest_there_is_no_pressure():
    problem = made(unknown=CONSTANT)
    model = problem.forward_model(problem.sensors("shots:0+receivers:1,2@0,0.15"))
    found = model(np.array([2500.0]))
    assert found[[0, 2]].tolist() == [0.0, 0.0]
    assert (found[[1, 3]] != 0).all()
    still = problem.forward_model(problem.sensors("all@0"))
    np.testing.assert_array_equal(still(np.array([2500.0])), 0.0)
    assert still.linearize(np.array([2500.0])).vjp(np.ones(16)).tolist() == [0.0]


# --- the unknown ---------------------------------------------------------------------------------


def test_velocities_too_fast_for_the_step_are_refused():
    problem = made(unknown=CONSTANT)
    model = problem.forward_model(problem.sensors("all"))
    limit = problem.discretisation(0).clock.limit
    model(np.array([limit]))
    with pytest.raises(SolverDiverged, match=r"too fast for the time step, which is stable up to"):
        model(np.array([limit * 1.001]))
    with pytest.raises(SolverDiverged, match="the velocity must be positive"):
        model(np.array([-2000.0]))


def test_differences_refuse_velocities_beyond_those_of_the_time_step():
    pytest.importorskip("deepwave")
    problem = made(unknown=CONSTANT, model="deepwave", time={"final": 0.15})
    model = problem.forward_model(problem.sensors("all"))
    model(np.array([3200.0]))
    for velocity, words in (
        (3201.0, "too fast for the time step"),
        (1e9, "too fast"),
        (0.0, "pos"),
    ):
        with pytest.raises(SolverDiverged, match=words):
            model(np.array([velocity]))


def test_memory_of_differences_is_counted():
    full = made(model="deepwave").memory_estimate()
    assert full > 8 * 2 * 400 * 51**2
    assert made(model="deepwave", time={"memory_mb": 30.0}).memory_estimate() < 0.5 * full
    assert made(model="deepwave").memory_estimate(1) > 3 * full
    with pytest.raises(ConfigError, match="cannot hold the checkpoints of 401 steps of finite"):
        made(model="deepwave", time={"memory_mb": 1.0}).memory_estimate()


def test_patches_share_their_slowness():
    ends = np.array([-1.0, 0.5, 2.0, 3.0])
    share = overlap(ends, np.array([0.0, 1.0, 2.0])).toarray()
    np.testing.assert_allclose(share, [[1, 0], [1 / 3, 2 / 3], [0, 1]])
    cells = OnCells.of((ends, ends), (np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0])))
    np.testing.assert_allclose(cells(np.array([2.0, 1.0]))[3:6], [0.25, 0.25 / 3 + 2 / 3, 1.0])


def test_layers_share_theirs_by_depth():
    layers = Layers(np.array([0.0, 1.0, 2.0, 3.0]), 2, 3)
    s = layers(np.array([1.25, 0.5, 1.0, 2.0, 4.0])).reshape(3, 2)
    np.testing.assert_allclose(s[:, 0], [1.0, 0.25 + 0.5 / 4 + 0.25 / 16, 1 / 16])
    np.testing.assert_array_equal(s[:, 0], s[:, 1])


def test_layers_report_the_depths_of_interfaces():
    kind = {"kind": "layers", "thicknesses": [100.0, 60.0], "velocities": [2000.0, 2500.0, 3000.0]}
    problem = made(unknown=kind)
    found = problem.derived()
    np.testing.assert_allclose(found.values(np.array([110.0, 50.0, 1, 2, 3])), [110.0, 160.0])
    assert made().derived() is None
    m = np.array([110.0, 50.0, 2000.0, 2500.0, 3000.0])
    column = problem.on_grid(m, (5, 2))[::2]
    assert column.tolist() == [2000.0, 2500.0, 3000.0, 3000.0, 3000.0]


def test_the_rule_of_lobatto_is_exact():
    for degree in (2, 5, 8):
        x, w = lobatto(degree)
        for k in range(2 * degree):
            assert w @ x**k == pytest.approx(1 / (k + 1), rel=1e-12)
    assert fastest_rate(2) == pytest.approx(24.0)


# --- files and remarks ---------------------------------------------------------------------------


def observations(problem, spec, values=None):
    sensors = problem.sensors(spec)
    n = len(sensors["shot"])
    values = ricker(sensors["time"] - 0.2, 8.0) if values is None else values
    return Observations(problem.observed, values, sensors, Noise(np.ones(n)))


def test_odd_data_are_remarked_on():
    assert made().remarks(observations(made(), "all")) == ()
    coarse = made(cells=8, survey={"source_depth": 100.0})
    (line,) = coarse.remarks(observations(coarse, "all"))
    assert line.startswith("4.6 nodes per shortest wavelength at 2.5 times the peak frequency")
    near = made(survey={"sources": [[40.0, 30.0]]})
    (line,) = near.remarks(observations(near, "all"))
    assert "1 of 8 traces are nearer than 48 m to their source" in line
    values = observations(made(), "all").values.reshape(2, 8, 100).copy()
    values[:, :, -1] = 0.0
    values[:, 3] = 0.0
    lines = made().remarks(observations(made(), "all", values.ravel()))
    assert [line.split(" is zero")[0] for line in lines] == [
        "the sample at time 0.5", "the receiver at receiver 3",
    ]  # fmt: skip


def test_keys_of_the_fast_model_beside_the_reference_are_remarked_on():
    problem = made(deepwave={"courant": 0.66, "accuracy": 4})
    (line,) = problem.remarks(observations(problem, "all"))
    assert line.startswith("deepwave.accuracy, deepwave.courant is of the fast model, and model")
    assert "'spectral-elements' does not read it; set model = 'deepwave'" in line
    fast = made(model="deepwave", deepwave={"courant": 0.66})
    assert not any("deepwave." in line for line in fast.remarks(observations(fast, "all")))


@pytest.mark.parametrize(("key", "value"), [("top_std", 0.1), ("background", [2000.0, 3000.0])])
@pytest.mark.parametrize("kind", ["log-gaussian", "layers"])
def test_keys_of_bounded_fields_name_their_kind(key, value, kind):
    told = (
        f"unknown.{key}': kind '{kind}' does not have it, 'bounded' does; set problem.unknown.kind"
    )
    with pytest.raises(ConfigError, match=told):
        made(unknown={"kind": kind, key: value})


def test_data_without_waves_of_the_wavelet_are_remarked_on():
    problem = made()
    sensors = problem.sensors("all")
    slow = ricker(sensors["time"] - 0.25, 1.0)  # such as data that a filter left nothing else of
    (line,) = problem.remarks(observations(problem, "all", slow))
    assert line.startswith("only ")
    assert "of the energy of the data lies between 2 and 20 Hz, where the wavelet has" in line
    noisy = ricker(sensors["time"] - 0.25, 8.0)
    noisy += 0.3 * np.std(noisy) * np.random.default_rng(0).standard_normal(len(noisy))
    assert problem.remarks(observations(problem, "all", noisy)) == ()


def test_a_file_of_others_tells_its_survey():
    problem = made()
    shots, t = np.arange(2.0), np.arange(1, 11) * 0.004
    places = {"source_x": ("shot", [100.0, 200.0]), "source_y": ("shot", [20.0, 20.0]),
              "receiver_x": ("receiver", [50.0, 60.0, 70.0]),
              "receiver_y": ("receiver", [10.0, 10.0, 12.0])}  # fmt: skip
    dataset = xr.Dataset(places, {"shot": shots, "time": t})
    found = tables_of(dataset)
    assert found["survey"]["sources"] == [[100.0, 20.0], [200.0, 20.0]]
    assert found["time"] == {"record": 0.004, "final": 0.04}
    assert tables_of(xr.Dataset()) == {}
    with pytest.raises(DataSchemaError, match="'source_y': expected one number for each shot"):
        tables_of(dataset.drop_vars("source_y"))
    with pytest.raises(DataSchemaError, match="increasing and equally far apart"):
        tables_of(dataset.assign_coords(time=t**2))
    with pytest.raises(DataSchemaError, match=r"the first time 0\.005 s is no multiple"):
        tables_of(dataset.assign_coords(time=t + 0.001))
    with pytest.raises(DataSchemaError, match="dataset: 'receiver_x' of receiver 2 is nan"):
        tables_of(dataset.assign(receiver_x=("receiver", [50.0, 60.0, np.nan])))
    with pytest.raises(DataSchemaError, match="'source_x' has units 'km'"):
        tables_of(dataset.assign(source_x=("shot", [0.1, 0.2], {"units": "km"})))
    own = problem.annotated(xr.Dataset(coords={"shot": [1.0], "receiver": np.arange(8.0)}))
    assert own["source_x"].values.tolist() == [480.0]
    assert own["receiver_y"].attrs["positive"] == "down"


def test_gathers_of_openfwi_are_imported(tmp_path):
    data = np.random.default_rng(0).standard_normal((2, 5, 1000, 70)).astype(np.float32)
    data[:, :, -1] = 0.0
    np.save(tmp_path / "data.npy", data)
    found = import_file("seismic", "npy", tmp_path / "data.npy", {"model": 1, "noise_rms": 0.1})
    assert found["u"].dims == ("shot", "receiver", "time")
    np.testing.assert_array_equal(found["u"][3, 20, :-1], data[1, 3, :-1, 20])
    assert found["u"][:, :, -1].isnull().all()
    np.testing.assert_allclose(found["time"][[0, -1]], [0.001, 1.0], rtol=1e-14)
    rms = np.sqrt(np.mean(np.square(data[1, :, :-1], dtype=float)))
    assert float(found["u_sigma"][0, 0, 0]) == pytest.approx(0.1 * rms)
    np.testing.assert_allclose(found["source_x"], [0, 170, 340, 520, 690])
    turned = import_file("seismic", "npy", tmp_path / "data.npy", {"factor": -1.0, "first": 0})
    np.testing.assert_array_equal(turned["u"][0, 0, :-1], -data[0, 0, :-1, 0])
    assert float(turned["time"][0]) == 0.0


@pytest.mark.parametrize(("array", "options", "message"), [
    (np.ones((5, 10, 60)), {}, "expected 5 shots and 70 receivers of preset 'openfwi'"),
    (np.ones((10, 60)), {}, r"expected numbers over \(model, shot, time, receiver\)"),
    (np.full((5, 10, 70), np.nan), {}, "holds values that are not finite"),
    (np.zeros((5, 10, 70)), {}, "all values are zero"),
    (np.ones((2, 5, 10, 70)), {"model": 2}, "holds models 0 to 1; got --model 2"),
    (np.array(["a"]), {}, "expected numbers"),
    (np.array([{}]), {}, r"no array of numbers as numpy.save writes one \(holds Python objects"),
])  # fmt: skip
def test_arrays_that_are_no_gathers_are_refused(array, options, message, tmp_path):
    np.save(tmp_path / "data.npy", array)
    with pytest.raises(DataSchemaError, match=message) as found:
        import_file("seismic", "npy", tmp_path / "data.npy", options)
    assert "pickle" not in str(found.value)


def test_several_arrays_in_one_file_are_refused(tmp_path):
    with (tmp_path / "data.npy").open("wb") as file:
        np.savez(file, a=np.ones(3))
    with pytest.raises(DataSchemaError, match=r"no array of numbers as numpy.save writes one"):
        import_file("seismic", "npy", tmp_path / "data.npy", {})


def test_a_file_that_is_no_array_is_refused(tmp_path):
    (tmp_path / "data.npy").write_text("no array")
    with pytest.raises(
        DataSchemaError, match=r"no array of numbers as numpy.save writes one \(ValueError\)"
    ):
        import_file("seismic", "npy", tmp_path / "data.npy", {})


def test_a_bound_on_memory_that_holds_nothing_is_told():
    problem = made(time={"memory_mb": 0.5})
    with pytest.raises(ConfigError, match="cannot hold the checkpoints of 400 steps"):
        problem.memory_estimate()
    model = problem.forward_model(problem.sensors("all"))
    m = problem.prior().unwhiten(np.zeros(problem.prior().dim))
    model(m)  # needs no states
    with pytest.raises(ConfigError, match="give at least"):
        model.linearize(m)


def test_the_spread_of_a_field_grows_downwards():
    table = {"kind": "bounded", "low": 1500.0, "high": 4500.0, "std": 0.8, "top_std": 0.1}
    prior = Seismic(SeismicConfig.model_validate({"unknown": table})).prior()
    spread = np.sqrt(np.sum(prior.field.apply(np.eye(prior.dim)) ** 2, axis=0)).reshape(17, 17)
    even = {**table, "top_std": None}
    before = Seismic(SeismicConfig.model_validate({"unknown": even})).prior().field
    whole = np.sqrt(np.sum(before.apply(np.eye(prior.dim)) ** 2, axis=0)).reshape(17, 17)
    share = spread / whole
    depth = prior.space.variables[0].places[:, 1].reshape(17, 17)
    assert share == pytest.approx(0.125 + 0.875 * depth / depth.max())


def test_longer_steps_of_differences_are_taken_on_request():
    for courant, steps in ((0.6, 2000), (0.66, 1000)):
        table = {"spacing": 10.0, "courant": courant}
        config = SeismicConfig.model_validate(
            {"preset": "openfwi", "model": "deepwave", "deepwave": table}
        )
        assert Clock.of(config, 0).steps == steps


@pytest.mark.parametrize(
    ("kind", "group", "name"),
    [("result", "estimates", "velocity_mean"), ("truth", "unknown", "velocity")],
)
def test_a_search_may_begin_at_a_result_or_a_truth(kind, group, name, tmp_path):
    axis = np.linspace(0.0, 640.0, 9)
    values = ("y", "x"), 2000.0 + axis[:, None] + 0.5 * axis
    coords = {k: (k, axis, {"units": "m"}) for k in "xy"}
    held = xr.Dataset({name: (*values, {"units": "m s-1"})}, coords)
    tree = {"/": xr.Dataset(attrs={"pdeinv_kind": kind}), group: held}
    xr.DataTree.from_dict(tree).to_netcdf(tmp_path / "found.nc")
    unknown = {"kind": "bounded", "background": str(tmp_path / "found.nc"), "grid": [9, 9]}
    prior = made(unknown=unknown).prior()
    assert prior.unwhiten(np.zeros(prior.dim)) == pytest.approx(values[1].ravel())


@pytest.mark.parametrize(
    ("kind", "group", "name"),
    [
        ("result", "estimates", "velocity_mean"),
        ("truth", "unknown", "velocity"),
        ("result", "estimates", "conductivity_mean"),
        ("truth", "other", "velocity"),
    ],
)
def test_a_file_without_a_field_is_no_background(kind, group, name, tmp_path):
    held = xr.Dataset({name: ("layer", [2000.0, 3000.0])})
    tree = {"/": xr.Dataset(attrs={"pdeinv_kind": kind}), group: held}
    xr.DataTree.from_dict(tree).to_netcdf(tmp_path / "found.nc")
    unknown = {"kind": "bounded", "background": str(tmp_path / "found.nc")}
    with pytest.raises(
        DataSchemaError, match=f"is a {kind} whose unknown is no velocity on a grid"
    ):
        made(unknown=unknown).prior()
