"""The operator surrogate: its accuracy, grids, derivatives, weights on disk, and refusals."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.errors import (
    ConfigError,
    DataSchemaError,
    MissingDependency,
    Preempted,
    SurrogateRejected,
)
from pdeinv.io import datasets
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.recipe import make_problem
from pdeinv.surrogates.common.split import Split
from pdeinv.surrogates.operators import network
from pdeinv.surrogates.operators.fields import FieldScaling
from pdeinv.surrogates.operators.fno import Fno, FnoConfig
from pdeinv.surrogates.operators.grid import Grid
from pdeinv.surrogates.operators.network import Architecture, build
from pdeinv.surrogates.training.weights import in_double

pytestmark = pytest.mark.usefixtures("solves_here")

CONFIG = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.5}}
QUICK = FnoConfig(epochs=30, width=12, layers=3, modes=6, learning_rate=1e-2)
SHORT = QUICK.model_copy(update={"epochs": 3})


@pytest.fixture(scope="module")
def problem():
    return make_problem("darcy", CONFIG)


@pytest.fixture(scope="module")
def dataset(problem, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    plan = Plan("darcy", CONFIG, problem.sensors("grid:3x3"), 120, 4, grid=(9, 9))
    generate(plan, folder / "data.nc", folder / "run")
    return datasets.read(folder / "data.nc")


@pytest.fixture(scope="module")
def trained(problem, dataset):
    return Fno.fit(dataset, problem, QUICK, 1)


def bound(surrogate, problem, spec="grid:3x3", **how):
    return surrogate.bind(problem, problem.prior(), problem.sensors(spec), **how)


def error(found, true):
    return float(np.mean(np.linalg.norm(found - true, axis=1) / np.linalg.norm(true, axis=1)))


@pytest.fixture(scope="module")
def fresh(problem):
    """Draws that no data set holds, and the reference data there at sensors off the grid."""
    xi = np.random.default_rng(8).standard_normal((30, 4))
    reference = problem.forward_model(problem.sensors("grid:5x4"))
    return xi, np.stack([reference(m) for m in problem.prior().unwhiten(xi)])


def test_learns_darcy_from_a_hundred_solves(trained, problem, dataset, fresh):
    assert trained.metadata["errors"]["field_relative_l2"] < 0.07
    assert trained.metadata["errors"]["relative_l2"] < 0.07
    xi, true = fresh
    learnt = error(bound(trained, problem, "grid:5x4")(xi), true)
    assert learnt < 0.05
    # negative control: three epochs are not enough
    green = Fno.fit(dataset, problem, SHORT, 1)
    assert error(bound(green, problem, "grid:5x4")(xi), true) > 2 * learnt


def test_prescribed_values_on_the_border_are_kept(trained, problem):
    places = {"x": np.array([0.0, 1.0, 0.3]), "y": np.array([0.5, 0.25, 0.0])}
    model = trained.bind(problem, problem.prior(), places)
    np.testing.assert_allclose(model(np.full(4, 0.7)), 0.0, atol=1e-14)


@pytest.mark.parametrize("shape", [(17, 17), (12, 15)])
def test_a_network_carries_over_to_another_grid(trained, problem, fresh, shape):
    xi, true = fresh
    assert error(bound(trained, problem, "grid:5x4", shape=shape)(xi), true) < 0.1


def test_spectral_layers_do_not_feel_whether_the_grid_is_odd_or_even():
    """A band-limited wave gives the same values on 9, 18 and 27 nodes, or by the library 2 of 3."""
    torch = pytest.importorskip("torch")
    _, spectral = network._library()
    layer = spectral(1, 1, (5, 5))

    def wave(n):
        t = 2 * np.pi * torch.arange(n) / n
        return torch.cos(t[:, None] + t[None, :])[None, None]

    def values(forward, n):
        return forward(layer, wave(n))[..., :: n // 9, :: n // 9].detach().numpy()

    for n in (18, 27):
        np.testing.assert_allclose(
            values(spectral.forward, n), values(spectral.forward, 9), atol=2e-6
        )
    library = spectral.__mro__[1].forward
    np.testing.assert_allclose(values(library, 18), values(spectral.forward, 18), atol=2e-6)
    # negative control: the reason why the layer is replaced
    assert np.abs(values(library, 18) - values(library, 9)).max() > 0.1


@pytest.mark.parametrize("columns", [8, 9])
@pytest.mark.parametrize("kept", [3, 5])
def test_the_hermitian_part_is_all_that_an_inverse_transform_sees(columns, kept):
    """A real field has a Hermitian half spectrum; the rest of any other is left out."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    shape = (2, 6, kept)
    spectrum = torch.from_numpy(rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    found = network.hermitian(spectrum, columns)
    field = torch.fft.irfft2(found, s=(6, columns))
    again = torch.fft.rfft2(field)[..., :kept]
    np.testing.assert_allclose(found, again, atol=1e-13)
    # negative control: what was given is no spectrum of a real field
    other = torch.fft.rfft2(torch.fft.irfft2(spectrum, s=(6, columns)))[..., :kept]
    assert float((spectrum - other).abs().max()) > 0.1
    np.testing.assert_allclose(network.hermitian(found, columns), found, atol=1e-15)


@pytest.mark.parametrize("shape", [(8, 8), (9, 9), (8, 9)])
@pytest.mark.parametrize("kind", ["fno", "tfno", "uno"])
def test_what_a_library_makes_of_other_parts_does_not_matter(kind, shape, monkeypatch):
    """Networks hand irfft2 Hermitian spectra alone, whose inverse is the same everywhere."""
    torch = pytest.importorskip("torch")
    layers = {"layers": 5} if kind == "uno" else {"layers": 2}
    architecture = Architecture((8, 8), 4, padding=0.0, kind=kind, rank=0.5, **layers)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = in_double(build(architecture, np.ones(shape)))
        x = torch.randn(1, *shape, dtype=torch.float64)
    plain, inverse, seen = module(x), torch.fft.irfft2, []

    def foreign(spectrum, s, norm):
        """Adds the imaginary parts that pocketfft leaves out, before it goes the same way."""
        seen.append(spectrum)
        columns = torch.fft.ifft(spectrum, dim=-2, norm=norm).imag
        more = columns[..., :1]
        if s[1] % 2 == 0 and spectrum.shape[-1] > s[1] // 2:
            more = more + columns[..., -1:]
        return inverse(spectrum, s=s, norm=norm) + more

    monkeypatch.setattr(torch.fft, "irfft2", foreign)
    np.testing.assert_allclose(module(x), plain, rtol=0, atol=1e-13 * float(plain.abs().max()))
    assert len(seen) == layers["layers"]
    monkeypatch.setattr(network, "hermitian", lambda spectrum, _: spectrum)
    assert (module(x) - plain).abs().max() > 1e-6 * plain.abs().max()


def test_double_precision_reaches_the_spectral_weights():
    torch = pytest.importorskip("torch")
    module = build(Architecture((4, 4), 4, 2, 0.25), np.ones((9, 9)))
    x = torch.linspace(0, 1, 81, dtype=torch.float64).reshape(1, 9, 9)
    single = module(x.float()).detach().double()
    double = in_double(module)(x)
    assert double.dtype == torch.float64
    step = 1e-9
    moved = in_double(module)(x + step * torch.cos(40 * x)) - double
    assert 0 < float((double - single).abs().max()) < 1e-5
    # in single precision such a step vanishes
    assert 1e-12 < float(moved.abs().max()) < 1e-7


@pytest.mark.parametrize("shape", [None, (10, 13)])
def test_derivatives_hold_in_double_precision(trained, problem, shape):
    model = bound(trained, problem, "grid:5x4", shape=shape)
    rng = np.random.default_rng(3)
    xi = 0.3 * rng.standard_normal(4)
    assert dot_product_test(model, xi, rng) < 1e-12
    assert 1.9 < taylor_test(model, xi, rng).slope < 2.1


def test_batches_equal_single_evaluations(trained, problem):
    model = bound(trained, problem)
    xi = np.random.default_rng(5).standard_normal((2, 3, 4))
    single = np.stack([[model(x) for x in row] for row in xi])
    np.testing.assert_allclose(model(xi), single, rtol=1e-11, atol=1e-13)


def test_saved_and_loaded_gives_the_same_numbers(trained, problem, tmp_path):
    trained.save(tmp_path / "s")
    again = Fno.load(tmp_path / "s")
    xi = np.random.default_rng(5).standard_normal((3, 4))
    np.testing.assert_array_equal(bound(again, problem)(xi), bound(trained, problem)(xi))
    assert again.metadata == trained.metadata
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == [
        "metadata.json",
        "weights.safetensors",
    ]


def test_scales_come_from_the_training_samples_alone(trained, problem, dataset):
    split = Split.of(dataset.size, 1)
    wild_field, wild_coefficient = dataset.field.copy(), dataset.coefficient.copy()
    for rows in (split.valid, split.test):
        wild_field[rows] *= 100
        wild_coefficient[rows] *= 100
    wild = replace(dataset, field=wild_field, coefficient=wild_coefficient)
    found = Fno.fit(wild, problem, SHORT, 1).scaling
    assert (found.centre, found.spread, found.scale) == (
        trained.scaling.centre,
        trained.scaling.spread,
        trained.scaling.scale,
    )
    np.testing.assert_array_equal(found.mean, dataset.field[split.train].mean(axis=0))


def test_resuming_gives_the_same_bits_as_never_stopping(problem, dataset, tmp_path):
    whole = Fno.fit(dataset, problem, SHORT, 1)
    epochs = []

    def note(epoch, *_):
        epochs.append(epoch)

    with pytest.raises(Preempted, match="stopped after epoch 0 and step 1"):
        Fno.fit(dataset, problem, SHORT, 1, FitRun(tmp_path, should_stop=lambda: True))
    resumed = Fno.fit(dataset, problem, SHORT, 1, FitRun(tmp_path, resume=True, progress=note))
    assert epochs == [1, 2, 3]
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], array)
    assert resumed.metadata == whole.metadata


def test_fitting_does_not_depend_on_the_global_generator(problem, dataset):
    torch = pytest.importorskip("torch")
    one = replace(dataset, **{k: getattr(dataset, k)[:20] for k in ("xi", "values", "field")})
    one = replace(one, coefficient=dataset.coefficient[:20])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first = Fno.fit(one, problem, SHORT, 1)
        state = torch.random.get_rng_state()
        torch.manual_seed(3)
        assert torch.equal(state, torch.random.get_rng_state())
    second = Fno.fit(one, problem, SHORT, 1)
    for name, array in first.weights.items():
        np.testing.assert_array_equal(second.weights[name], array)


def test_a_coefficient_that_is_not_positive_is_taken_as_it_is(problem, dataset):
    shifted = replace(dataset, coefficient=dataset.coefficient - 1.0)
    assert not Fno.fit(shifted, problem, SHORT, 1).scaling.log_input
    assert Fno.fit(dataset, problem, SHORT, 1).scaling.log_input
    with pytest.raises(ConfigError, match=r"log_input = true needs a positive coefficient"):
        Fno.fit(shifted, problem, SHORT.model_copy(update={"log_input": True}), 1)


def test_a_logarithm_that_does_not_exist_is_no_number_and_no_warning():
    everywhere = np.ones((1, 2), dtype=bool)
    scaling = FieldScaling(True, 0.0, 1.0, np.zeros((1, 2)), 1.0, np.ones((1, 2)), everywhere)
    assert np.isnan(scaling.encode(np.array([[-1.0, 1.0]]))).tolist() == [[True, False]]


def test_interpolation_is_exact_for_bilinear_fields_and_follows_the_axes():
    grid = Grid(("y", "x"), np.linspace(-1, 1, 5), np.linspace(0, 3, 4))
    y, x = np.meshgrid(grid.y, grid.x, indexing="ij")
    points = np.array([[-1.0, 3.0], [0.3, 0.1], [1.0, 0.0]])
    found = grid.interpolation(points) @ (2 * y - x + 0.5 * x * y).ravel()
    expected = 2 * points[:, 0] - points[:, 1] + 0.5 * points.prod(axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-14)
    fine = grid.onto(grid.resized((9, 7)))(x)
    np.testing.assert_allclose(fine[3], np.linspace(0, 3, 7))


def test_sensors_outside_the_grid_are_refused(trained, problem):
    with pytest.raises(SurrogateRejected, match=r"1 of 2 sensors lie outside.*x = 1\.2"):
        trained.bind(
            problem, problem.prior(), {"x": np.array([0.1, 1.2]), "y": np.array([0.5, 0.5])}
        )


def test_other_coordinates_are_refused(trained, problem):
    with pytest.raises(SurrogateRejected, match=r"coordinates x, y, this run has x, z"):
        trained.bind(problem, problem.prior(), {"x": np.zeros(1), "z": np.zeros(1)})


def test_another_problem_is_refused(trained):
    unknown = {**CONFIG["unknown"], "std": 0.6}
    with pytest.raises(SurrogateRejected, match=r"unknown\.std = 0\.5.*0\.6"):
        bound(trained, make_problem("darcy", {**CONFIG, "unknown": unknown}))


def test_a_shape_that_is_no_grid_is_refused(trained, problem):
    with pytest.raises(ConfigError, match=r"shape: expected two numbers"):
        bound(trained, problem, shape=(9, 2))


def test_a_data_set_without_fields_says_how_to_make_them(problem, dataset):
    plain = replace(dataset, coefficient=None, field=None, axes={})
    with pytest.raises(DataSchemaError, match=r"generate --grid 33x33"):
        Fno.fit(plain, problem, SHORT, 1)


def test_data_in_time_are_refused(problem, dataset):
    timed = replace(dataset, sensors={**dataset.sensors, "t": np.zeros(9)})
    with pytest.raises(DataSchemaError, match=r"data the coordinates .*t; use 'latent'"):
        Fno.fit(timed, problem, SHORT, 1)


def test_weights_that_do_not_fit_are_refused(trained, problem, tmp_path):
    wrong = dict(trained.weights)
    wrong.pop(next(iter(wrong)))
    replace(trained, weights=wrong).save(tmp_path / "s")
    with pytest.raises(DataSchemaError, match=r"do not fit the network.*train it again"):
        bound(Fno.load(tmp_path / "s"), problem)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "neuralop", None)
    network._library.cache_clear()
    try:
        with pytest.raises(MissingDependency, match=r"neuralop.*\[surrogate\]' in your clone"):
            network._library()
    finally:
        network._library.cache_clear()


SCRIPT = """
import os, sys, warnings
warnings.simplefilter("error")
import pdeinv.surrogates.operators.fno as fno
assert "torch" not in sys.modules and "neuralop" not in sys.modules
from pathlib import Path
import numpy as np
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.io import datasets
data = datasets.read(Path(sys.argv[1]))
problem = make_problem(data.problem, data.problem_config)
config = fno.FnoConfig(epochs=1, width=4, layers=1, modes=4)
fno.Fno.fit(data, problem, config, 1).save(Path(sys.argv[2]))
surrogate = load_surrogate(Path(sys.argv[2]))
model = surrogate.bind(problem, problem.prior(), data.sensors)
model.linearize(np.zeros(4)).vjp(np.ones(9))
assert np.isfinite(model(np.zeros(4))).all()
assert "WANDB_MODE" not in os.environ
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"dolfinx", "petsc4py", "mpi4py"}, loaded
"""


@pytest.mark.slow
def test_fitting_and_using_need_no_finite_elements_and_print_nothing(problem, tmp_path):
    plan = Plan("darcy", CONFIG, problem.sensors("grid:3x3"), 20, 4, grid=(9, 9))
    generate(plan, tmp_path / "data.nc", tmp_path / "run")
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "data.nc"), str(tmp_path / "s")],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "WANDB_MODE"},
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout == ""
