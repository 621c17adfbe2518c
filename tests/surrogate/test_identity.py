"""A surrogate knows what it was trained for, where, and says so when it is used elsewhere."""

import json
import warnings

import numpy as np
import pytest

from pdeinv.bayes.noise import Noise
from pdeinv.errors import DataSchemaError, SurrogateRejected
from pdeinv.io import datasets
from pdeinv.io.observations import Observations
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.plugins.surrogate import SolvedPairs
from pdeinv.surrogates.common.bound import OutsideTrainingRange, RangeWatch
from pdeinv.surrogates.common.identity import Identity
from pdeinv.surrogates.common.storage import save_folder
from pdeinv.surrogates.multifidelity.surrogate import Multifidelity

pytestmark = pytest.mark.usefixtures("solves_here")

HALF = '{"surrogate": "multifidelity"}'
CONFIG = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.5}}


@pytest.fixture(scope="module")
def problem():
    return make_problem("darcy", CONFIG)


@pytest.fixture(scope="module")
def sensors(problem):
    return problem.sensors("grid:3x3")


@pytest.fixture(scope="module")
def file(problem, sensors, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    generate(Plan("darcy", CONFIG, sensors, 60, 4), folder / "data.nc", folder / "run")
    return folder / "data.nc"


@pytest.fixture(scope="module")
def surrogate(problem, file):
    return Multifidelity.fit(datasets.read(file), problem, Multifidelity.Config(), 1)


@pytest.fixture
def identity(file):
    return Identity.of_dataset(datasets.read(file))


def rejected(call, text):
    with pytest.raises(SurrogateRejected, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_data_set_and_problem_give_the_same_identity(problem, identity, file):
    read = Identity.of_dataset(datasets.read(file))
    read.check(problem, problem.prior())
    np.testing.assert_allclose(read.prior_probe, identity.prior_probe, rtol=1e-12)
    stored = json.loads(json.dumps(read.as_json()))
    stored["observed"]["added later"] = "x"
    again = Identity.from_json(stored)
    again.check(problem, problem.prior())
    assert again.as_json() == read.as_json()


def test_other_problem_is_named(identity, problem):
    class Heat:
        name = "heat"

    rejected(
        lambda: identity.check(Heat(), problem.prior()), r"problem 'darcy', this run is 'heat'"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"cells": [16, 16]}, r"cells = \[8, 8\], this run has \[16, 16\]"),
        ({"source": 2.0}, r"source = 1\.0, this run has 2\.0"),
        ({"boundary": {"left": {"kind": "flux"}}}, r"boundary\.left\.kind = none.*'flux'"),
        (
            {"unknown": {"kind": "piecewise", "cells": [3, 2]}},
            r"unknown\.cells = \[2, 2\].*this run has \[3, 2\]",
        ),
        (
            {"unknown": {"kind": "log-gaussian", "modes": 4}},
            r"with unknown\.kind = 'piecewise', this run has 'log-gaussian'; use",
        ),
        (
            {"cells": [16, 16], "unknown": {"kind": "log-gaussian", "modes": 9}},
            r"with unknown\.kind = 'piecewise', cells = \[8, 8\], this run has 'log-gaussian', "
            r"\[16, 16\]; use",
        ),
    ],
)
def test_other_configuration_is_named_by_its_key(identity, change, text):
    other = make_problem("darcy", {**CONFIG, **change})
    rejected(lambda: identity.check(other, other.prior()), text)


def test_other_prior_of_the_same_size_is_refused(identity, problem):
    other = make_problem("darcy", {**CONFIG, "unknown": {**CONFIG["unknown"], "mean": 0.1}})
    rejected(lambda: identity.check(problem, other.prior()), "another prior of the same size")


def test_any_of_the_trained_sensors_in_any_order_will_do(identity, sensors, surrogate, problem):
    order = np.array([7, 0, 3])
    some = {c: v[order] for c, v in sensors.items()}
    np.testing.assert_array_equal(identity.select(some), order)
    whole = surrogate.bind(problem, problem.prior(), sensors)
    part = surrogate.bind(problem, problem.prior(), some)
    xi, w = np.array([0.1, -0.2, 0.3, 0.4]), np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(part(xi), whole(xi)[order], rtol=1e-12)
    full = np.zeros(9)
    full[order] = w
    np.testing.assert_allclose(part.linearize(xi).vjp(w), whole.linearize(xi).vjp(full), rtol=1e-10)
    np.testing.assert_allclose(part.d_space["u"].coords["x"][1], some["x"])


def test_sensor_that_was_not_trained_is_named(identity):
    off = {"x": np.array([0.25, 0.26]), "y": np.array([0.25, 0.25])}
    rejected(lambda: identity.select(off), r"1 of 2 sensors.*x = 0\.26, y = 0\.25.*or use 'fno'")
    rejected(lambda: identity.select({"z": np.zeros(2)}), "coordinates x, y, this run has z")


def test_warning_outside_the_training_range_comes_once_and_only_there():
    watch = RangeWatch(-np.ones(4), np.ones(4), "latent")
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(50):
            watch.note(rng.uniform(-1.15, 1.15, (20, 4)))
        watch.note(3 * np.ones((100, 4)))
    assert watch.n_outside == 100
    with pytest.warns(OutsideTrainingRange, match=r"of 1300 evaluations lie outside"):
        watch.note(3 * np.ones((200, 4)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch.note(3 * np.ones((200, 4)))


def test_bound_model_watches_its_range(surrogate, problem, sensors):
    model = surrogate.bind(problem, problem.prior(), sensors)
    model(np.zeros((200, 4)))
    fresh = surrogate.bind(problem, problem.prior(), sensors)
    with pytest.warns(OutsideTrainingRange):
        fresh(6 * np.ones((150, 4)))


def test_linearizing_outside_the_range_warns_as_a_call_does(surrogate, problem, sensors):
    for ask in ("linearize", "linearize_rows"):
        model = surrogate.bind(problem, problem.prior(), sensors)
        far = 6 * np.ones(4) if ask == "linearize" else 6 * np.ones((1, 4))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(100):
                getattr(model, ask)(far)
        with pytest.warns(OutsideTrainingRange, match="101 of 101 evaluations"):
            getattr(model, ask)(far)


def test_metadata_say_what_was_learned_from_what(surrogate, file):
    data = json.loads(json.dumps(surrogate.metadata))
    assert data["surrogate"] == "multifidelity"
    assert data["problem"] == "darcy"
    assert data["problem_config"]["cells"] == [8, 8]
    assert data["observed"]["units"] == "m"
    assert data["dataset_sha256"] == datasets.read(file).digest
    assert len(data["sensors"]["x"]) == len(data["noise_std"]) == 9
    assert len(data["range"]["low"]) == data["prior_dim"] == 4
    assert {"numpy", "pdeinv"} <= set(data["versions"])
    assert data["errors"]["rms_over_sigma"] < data["errors"]["rms_over_sigma_coarse"]


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda f: (f / "metadata.json").unlink(), "metadata.json is missing"),
        (lambda f: (f / "metadata.json").write_text("{"), "is not JSON"),
        (
            lambda f: (f / "metadata.json").write_text('{"surrogate": "multifidelity"}'),
            "incomplete",
        ),
        (lambda f: (f / "weights.safetensors").unlink(), "no such file"),
        (lambda f: (f / "weights.safetensors").write_bytes(b"x" * 9), "as safetensors"),
    ],
)
def test_damaged_folder_is_one_line(surrogate, tmp_path, spoil, text):
    surrogate.save(tmp_path / "s")
    spoil(tmp_path / "s")
    with pytest.raises(DataSchemaError, match=text):
        load_surrogate(tmp_path / "s")


def test_folder_of_another_kind_is_refused(surrogate, tmp_path):
    from pdeinv.surrogates.latent.surrogate import Latent

    surrogate.save(tmp_path / "s")
    with pytest.raises(DataSchemaError, match="kind 'multifidelity', expected 'latent'"):
        Latent.load(tmp_path / "s")
    with pytest.raises(DataSchemaError, match="no such surrogate folder"):
        load_surrogate(tmp_path / "none")


def test_data_set_of_another_problem_is_refused(file):
    other = make_problem("darcy", {**CONFIG, "source": 2.0})
    rejected(
        lambda: Multifidelity.fit(datasets.read(file), other, Multifidelity.Config(), 1), "source"
    )


def test_pairs_in_memory_give_the_same_model_as_a_data_set(problem, sensors, file):
    data = datasets.read(file)
    noise = Noise(np.full(9, 0.01))
    y = np.full(9, 1e6)  # far from every sample, so that all count alike
    seen = Observations(problem.observed, y, sensors, noise)
    config = Multifidelity.Config()
    a = Multifidelity.from_pairs(problem, SolvedPairs(seen, data.xi, data.values), config, 1)
    b = Multifidelity.fit(data, problem, config, 1, FitRun(noise_std=0.01))
    xi = np.random.default_rng(0).standard_normal((3, 4))
    np.testing.assert_allclose(
        a.bind(problem, problem.prior(), sensors)(xi),
        b.bind(problem, problem.prior(), sensors)(xi),
        rtol=1e-6,
    )


def test_a_format_that_is_not_known_is_refused(tmp_path):
    folder = tmp_path / "later"
    folder.mkdir()
    metadata = {"surrogate": Multifidelity.name, "format": 2}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(DataSchemaError, match="later has the format 2, this pdeinv reads format 1"):
        load_surrogate(folder)


def _set(table, path, value):
    *inner, last = path.split(".")
    for key in inner:
        table = table[key]
    table[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sensors", [1, 2], "sensors: expected a table, got"),
        ("sensors.x", [0.1], "sensors must be in one"),
        ("prior_probe", [1.0, "two"], "prior_probe.1: input should be a valid number"),
        ("noise_std", [-1.0] * 9, "noise_std.0: input should be greater than 0"),
        ("range.low", [0.0], "range.low and range.high must have prior_dim numbers"),
        ("seed", 1e400, "seed: input should be a valid integer"),
        ("observed.name", None, "observed.name: input should be a valid string"),
        ("problem_config", "x", "problem_config: expected a table, got"),
    ],
)
def test_metadata_of_another_kind_are_refused(surrogate, tmp_path, path, value, message):
    surrogate.save(tmp_path / "s")
    file = tmp_path / "s" / "metadata.json"
    table = json.loads(file.read_text())
    _set(table, path, value)
    file.write_text(json.dumps(table))
    message = "coordinates in sensors must have one length" if path == "sensors.x" else message
    with pytest.raises(DataSchemaError, match=rf"s: metadata\.json is .*: {message}") as caught:
        load_surrogate(tmp_path / "s")
    assert "\n" not in str(caught.value)


def test_metadata_that_are_nested_without_end_are_refused(tmp_path):
    (tmp_path / "metadata.json").write_text("[" * 100_000)
    with pytest.raises(DataSchemaError, match=r"metadata\.json is nested deeper than 100; train"):
        load_surrogate(tmp_path)


def test_weights_that_have_changed_are_refused(surrogate, tmp_path):
    surrogate.save(tmp_path / "s")
    file = tmp_path / "s" / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1  # in the last number
    file.write_bytes(data)
    with pytest.raises(DataSchemaError, match=r"weights\.safetensors is not the file that s was"):
        load_surrogate(tmp_path / "s")


@pytest.mark.parametrize("change", [lambda a: a[..., :-1], lambda a: a * np.nan])
def test_arrays_that_do_not_fit_together_are_refused_where_they_are_bound(
    problem, sensors, surrogate, tmp_path, change
):
    arrays = dict(surrogate.arrays())
    name = max(arrays, key=lambda k: arrays[k].size)
    save_folder(tmp_path, {**arrays, name: change(arrays[name])}, surrogate.metadata)
    with pytest.raises(DataSchemaError, match="train it again") as caught:
        load_surrogate(tmp_path).bind(problem, problem.prior(), sensors)
    assert "\n" not in str(caught.value)
