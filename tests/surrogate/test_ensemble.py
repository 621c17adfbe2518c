"""Ensembles: a calibrated spread covers held-out errors, and what the variance is used for."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.errors import CapabilityError, ConfigError, DataSchemaError, UnknownPlugin
from pdeinv.io import datasets, netcdf
from pdeinv.io.observations import Observations, to_dataset
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.jobs.invert.run import Inversion, invert
from pdeinv.jobs.two_level.admission import expected_sd, explore, mean_variance_added
from pdeinv.model.forward import Capability
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.provenance import attributes
from pdeinv.surrogates.ensemble.spread import Spread, coverage
from pdeinv.surrogates.ensemble.surrogate import Ensemble, EnsembleConfig
from pdeinv.surrogates.gaussian_process.surrogate import Gp, GpConfig
from pdeinv.surrogates.latent.surrogate import Latent, LatentConfig

pytestmark = pytest.mark.usefixtures("solves_here")

CONFIG = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.7}}
MEMBER = {"epochs": 120, "widths": [32, 32], "batch_size": 32}


@pytest.fixture(scope="module")
def problem():
    return make_problem("darcy", CONFIG)


@pytest.fixture(scope="module")
def dataset(problem, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    plan = Plan("darcy", CONFIG, problem.sensors("grid:3x3"), 150, 4)
    generate(plan, folder / "data.nc", folder / "run")
    return datasets.read(folder / "data.nc")


@pytest.fixture(scope="module")
def ensemble(problem, dataset):
    config = EnsembleConfig(members=4, options=MEMBER, share=0.2)
    return Ensemble.fit(dataset, problem, config, 1)


@pytest.fixture(scope="module")
def fresh(problem):
    xi = np.random.default_rng(8).standard_normal((150, 4))
    reference = problem.forward_model(problem.sensors("grid:3x3"))
    return xi, np.stack([reference(m) for m in problem.prior().unwhiten(xi)])


def bound(surrogate, problem):
    return surrogate.bind(problem, problem.prior(), problem.sensors("grid:3x3"))


def test_spread_fit_finds_a_known_factor_and_floor():
    rng = np.random.default_rng(0)
    spread = rng.gamma(3.0, 1.0, (400, 5))
    error = rng.standard_normal((400, 5)) * np.sqrt(3.0**2 * spread + 1.5**2)
    found = Spread.fit(spread, error)
    assert found.factor == pytest.approx(3.0, rel=0.1)
    assert found.floor == pytest.approx(1.5, rel=0.4)
    assert 0.93 < coverage(error, found(spread)) < 0.97


def test_intervals_cover_fresh_errors(ensemble, problem, fresh):
    xi, true = fresh
    model = bound(ensemble, problem)
    error, variance = model(xi) - true, model.variance(xi)
    assert 0.85 < coverage(error, variance) < 0.995
    # negative control: what the members disagree on alone is too little
    raw = (variance - ensemble.spread.floor**2) / ensemble.spread.factor**2
    assert coverage(error, raw) < coverage(error, variance) - 0.05
    assert coverage(error, variance / 9) < 0.8


def test_the_spread_grows_away_from_the_samples(ensemble, problem):
    near, far = np.zeros((1, 4)), np.full((1, 4), 4.0)
    model = bound(ensemble, problem)
    assert model.variance(far).mean() > 4 * model.variance(near).mean()


def test_the_mean_errs_less_than_the_members(ensemble, problem, fresh):
    xi, true = fresh

    def rms(surrogate):
        return float(np.sqrt(np.mean((bound(surrogate, problem)(xi) - true) ** 2)))

    assert rms(ensemble) < 0.97 * np.mean([rms(member) for member in ensemble.members])


def test_saved_and_loaded_gives_the_same_numbers(ensemble, problem, tmp_path):
    ensemble.save(tmp_path / "s")
    again, xi = load_surrogate(tmp_path / "s"), np.random.default_rng(5).standard_normal((3, 4))
    for method in ("__call__", "variance"):
        np.testing.assert_array_equal(
            getattr(bound(again, problem), method)(xi),
            getattr(bound(ensemble, problem), method)(xi),
        )
    (tmp_path / "s" / "member1" / "metadata.json").unlink()
    with pytest.raises(DataSchemaError):
        load_surrogate(tmp_path / "s")


def test_members_that_cannot_be_are_refused(problem, dataset):
    with pytest.raises(ConfigError, match=r"'ensemble' cannot be a member; choose latent"):
        Ensemble.fit(dataset, problem, EnsembleConfig(member="ensemble"), 1)
    with pytest.raises(UnknownPlugin, match="latent"):
        Ensemble.fit(dataset, problem, EnsembleConfig(member="latnt"), 1)
    with pytest.raises(ConfigError, match=r"surrogate\.options\.epoch.*did you mean 'epochs'"):
        Ensemble.fit(dataset, problem, EnsembleConfig(options={"epoch": 2}), 1)


def posterior_of(model, problem, data, std):
    return Posterior(problem.prior(), model, data, Noise(np.full(len(data), std)))


def test_noise_is_inflated_by_the_mean_variance_of_the_posterior(ensemble, problem, fresh):
    model = bound(ensemble, problem)
    posterior = posterior_of(model, problem, fresh[1][0], 2e-3)
    noise = mean_variance_added(posterior, np.random.default_rng(1))
    extra = noise.std**2 - posterior.noise.std**2
    at_truth = model.variance(fresh[0][:1])[0]
    assert (extra > 0).all()
    assert 0.1 < extra.mean() / at_truth.mean() < 10
    full = Noise.from_covariance(np.diag(posterior.noise.std**2) + 1e-7)
    assert np.allclose(np.diag(full.plus(extra).covariance) - np.diag(full.covariance), extra)


def test_expected_sd_is_that_of_fine_solves(ensemble, problem, fresh):
    """The surrogate's own word against fine solves on draws of its posterior, within a factor."""
    sensors = problem.sensors("grid:3x3")
    reference = WhitenedModel(problem.prior(), problem.forward_model(sensors))
    posterior = posterior_of(bound(ensemble, problem), problem, fresh[1][0], 3e-3)
    expected = expected_sd(posterior, np.random.default_rng(1))
    xis = explore(posterior, 60, 5, np.random.default_rng(2))
    fine = np.stack([reference(xi) for xi in xis])
    actual = np.std(posterior.misfit_of(fine) - posterior.misfit(xis))
    assert 0.2 < expected / actual < 5


def test_a_surrogate_without_variance_says_so(problem, dataset, fresh):
    plain = bound(Latent.fit(dataset, problem, LatentConfig(**{**MEMBER, "epochs": 1}), 1), problem)
    assert Capability.VARIANCE not in plain.capabilities
    with pytest.raises(CapabilityError, match=r"'latent' knows no predictive variance"):
        plain.variance(np.zeros(4))
    with pytest.raises(CapabilityError, match=r"surrogate\.inflate needs.*gp, ensemble"):
        mean_variance_added(
            posterior_of(plain, problem, fresh[1][0], 1e-3), np.random.default_rng(0)
        )


@pytest.fixture(scope="module")
def files(problem, dataset, fresh, tmp_path_factory):
    """An observation file with little noise, and a process trained on few samples."""
    folder = tmp_path_factory.mktemp("files")
    truth = fresh[1][np.linalg.norm(fresh[0], axis=1).argmin()]  # where both were trained
    noise = Noise(np.full(9, 0.01 * np.abs(truth).max()))
    values = truth + noise.sample(np.random.default_rng(1))
    data = Observations(problem.observed, values, problem.sensors("grid:3x3"), noise)
    netcdf.write(folder / "obs.nc", to_dataset(data, attributes({}, 1)))
    Gp.fit(dataset.rows(np.arange(40)), problem, GpConfig(), 1).save(folder / "gp")
    return folder


def inverted(files, out, **surrogate):
    tables = {
        "seed": 1, "model": "surrogate", "problem": {"name": "darcy", **CONFIG},
        "engine": {"name": "laplace"}, "surrogate": {"path": str(files / "gp"), **surrogate},
    }  # fmt: skip
    return invert(Inversion.resolve(tables, files / "obs.nc"), out)


def test_inverting_with_inflated_noise_widens_the_posterior(files, tmp_path):
    plain = inverted(files, tmp_path / "a.nc")
    wide = inverted(files, tmp_path / "b.nc", inflate=True)
    assert "pdeinv_noise_inflation" not in plain.attrs
    assert wide.attrs["pdeinv_noise_inflation"] > 1.05

    def spread(tree):
        return float(tree["unconstrained_posterior"]["xi"].std(("chain", "draw")).mean())

    assert spread(wide) > 1.02 * spread(plain)


def test_unknown_keys_beside_a_path_are_refused(files, tmp_path):
    with pytest.raises(ConfigError, match=r"surrogate\.inflat.*did you mean 'inflate'"):
        inverted(files, tmp_path / "a.nc", inflat=True)


def test_a_surrogate_that_expects_to_fail_costs_no_fine_solve(files, problem, dataset, tmp_path):
    from pdeinv.errors import SurrogateRejected

    poor = dataset.rows(np.arange(14))
    Gp.fit(poor, problem, GpConfig(), 1).save(tmp_path / "gp")
    noise = Noise(np.full(9, 1e-5))
    data = Observations(problem.observed, dataset.values[0], problem.sensors("grid:3x3"), noise)
    netcdf.write(tmp_path / "obs.nc", to_dataset(data, attributes({}, 1)))
    tables = {
        "seed": 1, "problem": {"name": "darcy", **CONFIG}, "engine": {"name": "two-level"},
        "surrogate": {"path": str(tmp_path / "gp")},
    }  # fmt: skip
    with pytest.raises(SurrogateRejected, match=r"expects to be too inaccurate.*own variance"):
        invert(Inversion.resolve(tables, tmp_path / "obs.nc"), tmp_path / "r.nc")


def test_rows_of_a_data_set_take_all_that_goes_by_sample(dataset):
    some = replace(dataset, probes=np.zeros((150, 2, 4))).rows([3, 5])
    assert some.size == 2
    assert some.probes.shape == (2, 2, 4)
    np.testing.assert_array_equal(some.values, dataset.values[[3, 5]])
