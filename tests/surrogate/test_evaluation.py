"""`evaluate`: figures against their definitions, on surrogates whose error is known."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import xarray as xr

from pdeinv import memory
from pdeinv.bayes.posterior import Posterior, WhitenedModel, xi_space
from pdeinv.engines.gaussian.approximation import laplace_at_map
from pdeinv.engines.requests import drive
from pdeinv.errors import (
    CapabilityError,
    ConfigError,
    DataSchemaError,
    RunFailed,
    SolverDiverged,
    SurrogateRejected,
)
from pdeinv.io import datasets, netcdf
from pdeinv.io.observations import NoiseSpec, Observations, to_dataset
from pdeinv.jobs import evaluate as run
from pdeinv.jobs import evaluated_draws
from pdeinv.jobs.comparison import summary, to_tree
from pdeinv.jobs.evaluate import Request, compare
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.jobs.plot.comparison import figure
from pdeinv.plugins.recipe import make_problem
from pdeinv.surrogates.latent.surrogate import Latent

pytestmark = pytest.mark.usefixtures("solves_here")

CONFIG = {"cells": 6, "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.5}}


@pytest.fixture(scope="module")
def problem():
    return make_problem("darcy", CONFIG)


@pytest.fixture(scope="module")
def checkpoint(problem, tmp_path_factory):
    """A trained network in a folder."""
    folder = tmp_path_factory.mktemp("latent")
    plan = Plan("darcy", CONFIG, problem.sensors("grid:2x2"), 60, 4)
    generate(plan, folder / "d.nc", folder / "d.run")
    config = Latent.Config(epochs=30, widths=(16,))
    Latent.fit(datasets.read(folder / "d.nc"), problem, config, 1).save(folder / "net")
    return folder / "net"


@dataclass(frozen=True)
class Off:
    """The reference with a known error: value times (1 + share) plus shift."""

    inner: object
    share: float = 0.0
    shift: float = 0.0
    kind = "surrogate"
    capabilities = frozenset()

    @property
    def m_space(self):
        return self.inner.m_space

    @property
    def d_space(self):
        return self.inner.d_space

    def __call__(self, xi, /):
        return (1 + self.share) * self.inner(xi) + self.shift


def with_error(monkeypatch, checkpoint, **error):
    """Let the stored surrogate predict the reference with that error instead."""
    loaded = run.load_surrogate(checkpoint)

    class Known:
        metadata = loaded.metadata

        def bind(self, problem, prior, sensors):
            return Off(WhitenedModel(prior, problem.forward_model(sensors)), **error)

    monkeypatch.setattr(run, "load_surrogate", lambda *_: Known())


def request(checkpoint, **more):
    return replace(Request(checkpoint, {}, n=12, seed=3, noise=NoiseSpec(std=0.01)), **more)


def test_figures_follow_their_definitions(monkeypatch, checkpoint):
    with_error(monkeypatch, checkpoint, share=0.02)
    found = compare(request(checkpoint))
    figures = summary(found)["regions"]["prior"]
    (region,) = found.regions
    size = np.linalg.norm(region.reference, axis=1)
    departure = np.linalg.norm(region.reference - region.reference.mean(axis=0), axis=1)
    relative = 0.02 * size / np.sqrt(np.mean(departure**2))
    assert figures["relative_l2"] == pytest.approx(relative.mean(), rel=1e-9)
    assert figures["relative_l2_max"] == pytest.approx(relative.max(), rel=1e-9)
    rms = 0.02 * np.sqrt(np.mean(region.reference**2)) / 0.01
    assert figures["rms_over_sigma"] == pytest.approx(rms, rel=1e-9)
    off = [
        0.5 * np.sum(((1 + s) * region.reference - found.data) ** 2, axis=1) / 1e-4
        for s in (0.02, 0)
    ]
    assert figures["misfit_difference_sd"] == pytest.approx((off[0] - off[1]).std(ddof=1), rel=1e-6)
    assert figures["failed"] == 0


def test_no_error_gives_zero_and_a_larger_one_more(monkeypatch, checkpoint):
    sizes = []
    for shift in (0.0, 0.001, 0.01):
        with_error(monkeypatch, checkpoint, shift=shift)
        sizes.append(summary(compare(request(checkpoint)))["regions"]["prior"])
    assert sizes[0]["rms_over_sigma"] == sizes[0]["misfit_difference_sd"] == 0
    assert sizes[1]["rms_over_sigma"] == pytest.approx(0.1, rel=1e-9)
    assert sizes[2]["rms_over_sigma"] == pytest.approx(1.0, rel=1e-9)
    assert sizes[2]["misfit_difference_sd"] > sizes[1]["misfit_difference_sd"] > 0


def test_worst_cases_are_the_worst_with_their_xi(checkpoint):
    found = compare(request(checkpoint))
    rms = found.regions[0].rms_over_sigma(found.noise)
    worst = summary(found)["worst"]
    assert [case["sample"] for case in worst] == np.argsort(-rms)[:3].tolist()
    np.testing.assert_array_equal(worst[0]["xi"], found.regions[0].xi[worst[0]["sample"]])


def test_draws_are_fresh_and_depend_on_the_seed(checkpoint, problem):
    one, same, other = (compare(request(checkpoint, seed=s)).regions[0].xi for s in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.isin(one, other).any()
    trained = Plan("darcy", CONFIG, {}, 60, 3).draws(range(60), 4)
    assert not np.isin(one, trained).any()


def test_speed_compares_both_models_in_the_same_run(checkpoint):
    figures = summary(compare(request(checkpoint)))
    seconds = figures["cpu_seconds"]
    assert figures["speed_ratio"] == seconds["reference"] / seconds["surrogate"]
    assert figures["speed_ratio_batched"] == seconds["reference"] / seconds["surrogate_batched"]
    assert all(value > 0 for value in seconds.values())


def result(path, xi, **attrs):
    group = xi_space(xi.shape[-1]).unpack(xi[None], ("chain", "draw"))
    data = xr.Dataset({"u": ("obs", np.full(4, 0.05))})
    constants = xr.Dataset({"noise_std": ("obs", np.full(4, 0.002))})
    groups = {
        "/": xr.Dataset(attrs=attrs),
        "unconstrained_posterior": group,
        "observed_data": data,
        "constant_data": constants,
    }
    netcdf.write(path, xr.DataTree.from_dict(groups))
    return path


def test_posterior_draws_data_and_noise_come_from_the_result(tmp_path, checkpoint):
    xi = 0.1 * np.random.default_rng(0).standard_normal((40, 4)) + 0.5
    around = result(tmp_path / "r.nc", xi, pdeinv_problem="darcy")
    found = compare(request(checkpoint, around=around, noise=NoiseSpec()))
    assert [r.name for r in found.regions] == ["prior", "posterior"]
    assert all((xi == one).all(axis=1).any() for one in found.regions[1].xi)
    assert len(np.unique(found.regions[1].xi, axis=0)) == 12
    np.testing.assert_array_equal(found.data, 0.05)
    np.testing.assert_array_equal(found.noise.std, 0.002)
    assert found.sources == {"noise": "result", "data": "result"}


def test_observations_give_sensors_noise_and_data(tmp_path, checkpoint, problem):
    places = {c: np.asarray(v)[:3] for c, v in problem.sensors("grid:2x2").items()}
    noise = NoiseSpec(std=0.003).for_values(np.ones(3))
    observations = Observations(problem.observed, np.array([0.1, 0.2, 0.3]), places, noise)
    attrs = {"pdeinv_problem": "darcy"}
    netcdf.write(tmp_path / "obs.nc", to_dataset(observations, attrs))
    tables = {"problem": {"name": "darcy", **CONFIG}}
    found = compare(request(checkpoint, tables=tables, obs=tmp_path / "obs.nc", noise=NoiseSpec()))
    assert [r.name for r in found.regions] == ["posterior"]
    assert found.regions[0].reference.shape == (12, 3)
    np.testing.assert_array_equal(found.data, [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(found.noise.std, 0.003)


@pytest.fixture(scope="module")
def measured(tmp_path_factory, problem):
    """Data of a known unknown at the trained sensors, and the Laplace posterior of the solver."""
    sensors = problem.sensors("grid:2x2")
    model = WhitenedModel(problem.prior(), problem.forward_model(sensors))
    noise = NoiseSpec(std=0.002).for_values(np.ones(4))
    values = model(np.array([0.4, -0.6, 0.2, 0.5])) + noise.sample(np.random.default_rng(2))
    path = tmp_path_factory.mktemp("measured") / "obs.nc"
    netcdf.write(
        path,
        to_dataset(
            Observations(problem.observed, values, sensors, noise), {"pdeinv_problem": "darcy"}
        ),
    )
    return path, Posterior(problem.prior(), model, values, noise)


def laplace(posterior):
    return drive(posterior, laplace_at_map(posterior, np.random.default_rng(0)))


def test_draws_are_those_of_the_laplace_posterior_of_the_observations(measured, checkpoint):
    path, posterior = measured
    tables = {"problem": {"name": "darcy", **CONFIG}}
    (region,) = compare(
        request(checkpoint, tables=tables, obs=path, noise=NoiseSpec(), n=200)
    ).regions
    expected = laplace(posterior)
    sd = np.sqrt(expected.variance)
    assert np.abs((region.xi.mean(axis=0) - expected.mean) / sd).max() < 4 / np.sqrt(200)
    assert np.abs(region.xi.std(axis=0) / sd - 1).max() < 0.25
    assert sd.min() < 0.3  # the prior would have 1


@pytest.mark.parametrize(
    ("shift", "word"), [(1e-5, "good: "), (1e-3, "good for two-level: "), (0.02, "refused: ")]
)
def test_the_verdict_is_what_an_inversion_finds(monkeypatch, measured, checkpoint, shift, word):
    path, posterior = measured
    with_error(monkeypatch, checkpoint, shift=shift)
    tables = {"problem": {"name": "darcy", **CONFIG}}
    figures = summary(
        compare(request(checkpoint, tables=tables, obs=path, noise=NoiseSpec(), n=40))
    )
    assert figures["verdict"].startswith(word)
    exact = laplace(posterior)
    other = laplace(replace(posterior, data=posterior.data - shift))
    off = np.abs((other.mean - exact.mean) / np.sqrt(exact.variance)).max()
    sd = figures["regions"]["posterior"]["misfit_difference_sd"]
    assert off < 1.5 * sd
    assert (off > 1) == (word == "refused: ")


def test_prior_draws_give_no_verdict(checkpoint):
    assert summary(compare(request(checkpoint)))["verdict"].startswith("none: prior draws")


def test_no_laplace_approximation_asks_for_draws(monkeypatch, measured, checkpoint):
    monkeypatch.setattr(WhitenedModel, "capabilities", frozenset())
    tables = {"problem": {"name": "darcy", **CONFIG}}
    with pytest.raises(CapabilityError, match=r"no derivatives; give draws.*--around RESULT"):
        compare(request(checkpoint, tables=tables, obs=measured[0], noise=NoiseSpec()))


@pytest.mark.parametrize(
    ("draws", "attrs", "text"),
    [
        (np.zeros((20, 3)), {}, "with 3 unknowns, expected 'darcy' with 4"),
        (np.zeros((20, 4)), {"pdeinv_problem": "heat"}, "result of problem 'heat'"),
        (np.zeros((1, 4)), {}, "a point estimate has no draws"),
    ],
)
def test_a_result_that_does_not_fit_is_refused(tmp_path, checkpoint, draws, attrs, text):
    with pytest.raises(DataSchemaError, match=text):
        compare(request(checkpoint, around=result(tmp_path / "r.nc", draws, **attrs)))


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"tables": {"problem": {"cells": 7}}}, "cells = 6, this run has 7"),
        ({"tables": {"problem": {"unknown": {"std": 0.6}}}}, r"unknown\.std = 0\.5"),
        ({"sensors": "grid:3x3"}, "sensors are not among"),
        ({"tables": {"problem": {"name": "heat"}}}, "problem 'darcy', this run is 'heat'"),
    ],
)
def test_a_surrogate_of_something_else_is_refused(checkpoint, more, text):
    with pytest.raises(SurrogateRejected, match=text):
        compare(request(checkpoint, **more))


def failing(monkeypatch, share):
    solves = iter(range(1000))
    whole = WhitenedModel.__call__

    def call(self, xi):
        if next(solves) % 4 < 4 * share:
            raise SolverDiverged("too stiff")
        return whole(self, xi)

    monkeypatch.setattr(WhitenedModel, "__call__", call)


def test_failed_solves_are_recorded_and_left_out(monkeypatch, checkpoint):
    failing(monkeypatch, 0.25)
    found = compare(request(checkpoint))
    assert summary(found)["regions"]["prior"]["failed"] == 3
    assert found.regions[0].failures.count("too stiff") == 3
    assert np.isfinite(summary(found)["regions"]["prior"]["relative_l2"])


def test_all_solves_failing_is_one_line(monkeypatch, checkpoint):
    failing(monkeypatch, 1.0)
    with pytest.raises(RunFailed, match=r"all 12 solves failed.*too stiff"):
        compare(request(checkpoint))


def test_file_and_figure_hold_every_draw(tmp_path, checkpoint):
    found = compare(request(checkpoint))
    netcdf.write(tmp_path / "e.nc", to_tree(found, {"pdeinv_seed": 3}))
    with xr.open_datatree(tmp_path / "e.nc") as tree:
        stored = tree["prior"].to_dataset()
        np.testing.assert_array_equal(stored["error"], stored["predicted"] - stored["reference"])
        np.testing.assert_allclose(
            stored["rms_over_sigma"], np.sqrt(np.mean((stored["error"] / 0.01) ** 2, axis=1))
        )
        assert tree.attrs["pdeinv_kind"] == "evaluation"
    figure(found, tmp_path / "e.png", dpi=40)
    assert (tmp_path / "e.png").read_bytes()[:4] == b"\x89PNG"
    json.dumps(summary(found))


@pytest.mark.parametrize("n", [10**9, 10**10])
def test_draws_that_cannot_be_held_with_their_data_are_refused_before_the_first(
    n, checkpoint, monkeypatch
):
    """Draws of 4 unknowns alone would fit."""
    monkeypatch.setattr(memory, "capacity", lambda: 9 * 4 * n)
    monkeypatch.setattr(evaluated_draws, "stream", None)
    with pytest.raises(ConfigError, match=f"n: {n} draws of 4 unknowns would take at least"):
        compare(request(checkpoint, n=n), lambda *_: None)
