"""What a result holds for its reader: likelihoods, predictions, figures by place, the map of xi."""

import json

import arviz as az
import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtr
from scipy.stats import multivariate_normal, norm

import pdeinv
from pdeinv.bayes.diagnostics import components
from pdeinv.bayes.noise import Noise
from pdeinv.jobs.info import describe
from pdeinv.jobs.invert.components import MAX_PLACES
from pdeinv.jobs.invert.predictive import N_LIKELIHOOD
from pdeinv.model.places import place, places

SIGMA = 0.1
T = np.linspace(0, 1, 8)
FIELD = {"kind": "log-gaussian", "modes": 5, "grid": [6, 5], "std": 0.5}


def two(m):
    return m[0] + m[1] * T


def averages(m):
    """Means of a field over the columns of its grid, twice."""
    columns = m.reshape(5, 6).mean(axis=0)
    return np.concatenate([columns, columns[:2] ** 2])


def of_field(m, **given):
    return pdeinv.own_model(averages, prior=pdeinv.priors.field("k", FIELD), **given)


def inverted(out=None, engine="hmc", **options):
    prior = [
        pdeinv.priors.lognormal("rate", median=1.0, std=0.5, units="h-1"),
        pdeinv.priors.uniform("slope", low=-1.0, high=2.0),
    ]
    model = pdeinv.own_model(two, prior=prior, gradient="finite-difference", coords={"t": T})
    data = two([1.3, 0.4]) + SIGMA * np.random.default_rng(1).standard_normal(8)
    given = {"draws": 300, "warmup": 200} if engine == "hmc" else {}
    return pdeinv.invert(
        (data, SIGMA), model=model, engine=engine, seed=3, out=out, **{**given, **options}
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("result") / "result.nc"
    inverted(path)
    return path


@pytest.fixture(scope="module")
def field():
    prior = pdeinv.priors.field("k", FIELD)
    model = pdeinv.own_model(averages, prior=prior, gradient="finite-difference")
    truth = prior.unwhiten(np.random.default_rng(4).standard_normal(5))
    data = averages(truth) + 0.05 * np.random.default_rng(5).standard_normal(8)
    return pdeinv.invert((data, 0.05), model=model, engine="hmc", seed=2, draws=200, warmup=150)


# ---- predictions ----


def test_the_log_likelihood_is_that_of_each_datum_at_draws_of_the_posterior(stored):
    tree = xr.open_datatree(stored)
    clean = tree["posterior_predictive"]["data_noise_free"]
    told, observed = tree["log_likelihood"]["data"], tree["observed_data"]["data"]
    assert told.dims == ("chain", "draw", "obs")
    assert np.allclose(told, norm.logpdf(observed, clean, SIGMA))
    posterior = tree["posterior"].to_dataset().sel(chain=told.chain, draw=told.draw)
    expected = posterior["rate"] + posterior["slope"] * xr.DataArray(T, dims="obs")
    assert np.allclose(expected.transpose("chain", "draw", "obs"), clean)
    noise = tree["posterior_predictive"]["data"] - clean
    assert float(noise.std()) == pytest.approx(SIGMA, rel=0.1)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # a hundred draws are few
def test_arviz_compares_models_by_it(stored):
    data = az.from_netcdf(stored)
    found = az.loo(data, reff=1.0)
    assert np.isfinite(found.elpd)
    assert found.n_data_points == 8
    assert 0.5 < found.p < 4  # two unknowns


def test_correlated_data_count_given_the_others():
    rng = np.random.default_rng(3)
    a = rng.standard_normal((5, 5))
    covariance = a @ a.T + 0.5 * np.eye(5)
    r = rng.standard_normal(5)
    joint = multivariate_normal(np.zeros(5), covariance).logpdf(r)
    told = Noise.from_covariance(covariance).log_density(r, 0 * r)
    for i in range(5):
        others = np.delete(np.arange(5), i)
        rest = multivariate_normal(np.zeros(4), covariance[np.ix_(others, others)])
        assert told[i] == pytest.approx(joint - rest.logpdf(r[others]))
    plain = Noise(np.sqrt(np.diag(covariance)))
    assert np.allclose(plain.log_density(r, 0 * r), norm.logpdf(r, 0, plain.std))
    assert not np.allclose(plain.log_density(r, 0 * r), told)


def test_predictions_come_from_every_chain_and_stay_few(stored):
    tree = xr.open_datatree(stored)
    predicted = tree["posterior_predictive"]
    assert predicted.sizes["chain"] == 4
    assert predicted.sizes["draw"] == 25
    assert predicted["draw"].values[[0, -1]].tolist() == [0, 299]
    assert tree.attrs["pdeinv_n_forward_predictive"] == 100
    assert inverted(engine="map")["posterior_predictive"]["data"].shape == (1, 1, 8)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
def test_likelihoods_are_stored_where_arviz_can_use_them(stored, tmp_path):
    inverted(engine="map", out=tmp_path / "map.nc")
    with pytest.raises(TypeError, match="log likelihood not found"):
        az.loo(az.from_netcdf(tmp_path / "map.nc"))
    few = inverted(engine="eki", ensemble_size=N_LIKELIHOOD - 1)
    assert "log_likelihood" not in few.children
    inverted(engine="eki", ensemble_size=N_LIKELIHOOD, out=tmp_path / "eki.nc")
    assert np.isfinite(az.loo(az.from_netcdf(tmp_path / "eki.nc"), reff=1.0).elpd)


def test_weights_are_told_of_draws_from_an_approximation_only():
    assert not {"effective_share", "pareto_k"} & numbers(inverted(engine="eki")).keys()
    assert {"effective_share", "pareto_k"} <= numbers(inverted(engine="laplace")).keys()


def numbers(tree):
    return json.loads(tree.attrs["pdeinv_summary"])


# ---- figures of each component ----


def test_the_figures_of_each_component_are_those_of_its_draws(stored):
    tree = xr.open_datatree(stored)
    group = tree["diagnostics"].to_dataset()
    each = components(tree["unconstrained_posterior"]["xi"].values)
    for name in ("r_hat", "ess_bulk", "ess_tail", "mcse"):
        assert np.allclose(group[f"xi_{name}"], getattr(each, name))
    rate = components(tree["posterior"]["rate"].values[..., None])
    assert float(group["rate_mcse"]) == pytest.approx(float(rate.mcse[0]))
    assert group["rate_mcse"].attrs["units"] == "h-1"
    summary = json.loads(tree.attrs["pdeinv_summary"])
    worst = max(float(group["xi_r_hat"].max()), float(group["misfit_r_hat"]))
    assert summary["r_hat"] == pytest.approx(worst)


def test_info_names_every_component_by_its_place(stored, field, tmp_path):
    rows = {r["component"]: r for r in describe(stored)["components"]}
    assert set(rows) == {"xi[0]", "xi[1]", "misfit", "rate", "slope"}
    assert rows["rate"]["ess_bulk"] > 100
    field.to_netcdf(tmp_path / "field.nc")
    found = describe(tmp_path / "field.nc")["components"]
    names = [r["component"] for r in found]
    assert len(names) == 5 + 1 + 30
    assert "k at x=0.4, y=0.75" in names
    known = [r["r_hat"] for r in found if r["r_hat"] is not None]
    assert known == sorted(known, reverse=True)


def test_a_large_unknown_is_judged_at_some_places():
    prior = pdeinv.priors.field("k", {**FIELD, "grid": [65, 33]})
    model = pdeinv.own_model(lambda m: m[:3], prior=prior)
    found = pdeinv.invert((np.ones(3), 0.5), model=model, engine="pcn", seed=1, draws=400)
    group = found["diagnostics"].to_dataset()
    assert 50 < group["k_r_hat"].size <= MAX_PLACES
    assert np.allclose(np.diff(group["x"]), group.attrs["every"] / 64)


def test_entries_without_coordinates_are_numbered_and_words_are_said():
    named = xr.DataArray(np.zeros(2), {"site": ["north", "south"]}, ["site"], name="rate")
    assert places(named) == ["rate at site=north", "rate at site=south"]
    assert place(xr.DataArray(np.zeros((2, 3)), dims=["a", "b"], name="k"), 4) == "k[1, 1]"
    assert place(xr.DataArray(0.0, name="k"), 0) == "k"
    mesh = xr.DataArray(
        np.zeros(2), {"x": ("node", [0.1, 0.2]), "y": ("node", [1.0, 2.0])}, ["node"], name="k"
    )
    assert places(mesh) == ["k at x=0.1, y=1", "k at x=0.2, y=2"]


# ---- the map of xi ----


def test_the_file_says_how_the_unknown_follows_from_xi(stored, field):
    tree = xr.open_datatree(stored)
    xi, told = tree["unconstrained_posterior"]["xi"], tree["prior_map"].to_dataset()
    rate = np.exp(told["rate_mean"] + told["rate_std"] * xi[..., 0])
    assert np.allclose(rate, tree["posterior"]["rate"])
    x = told["slope_mean"] + told["slope_std"] * xi[..., 1]
    slope = told["slope_low"] + (told["slope_high"] - told["slope_low"]) * ndtr(x)
    assert np.allclose(slope, tree["posterior"]["slope"])
    assert xi.attrs["map"] == told.attrs["formula"]
    assert "rate = exp(x), x = rate_mean + rate_std xi[0:1]; slope = slope_low" in xi.attrs["map"]
    numbers = field["prior_map"].to_dataset()
    draws = field["unconstrained_posterior"]["xi"].values
    x = numbers["k_mean"].values + np.einsum("cdk,kyx->cdyx", draws, numbers["k_basis"].values)
    assert np.allclose(np.exp(x), field["posterior"]["k"])
    assert numbers["k_xi"].values.tolist() == [0, 1, 2, 3, 4]


# ---- costs ----


def test_seconds_of_processors_stand_beside_those_on_the_wall(stored):
    attrs = xr.open_datatree(stored).attrs
    assert attrs["pdeinv_cpu_seconds"] > 0
    assert attrs["pdeinv_seconds"] > 0
    assert attrs["pdeinv_seconds_training"] == attrs["pdeinv_cpu_seconds_training"] == 0


def test_the_training_of_a_surrogate_is_in_the_seconds():
    def cheap(m):
        return two(m) + 0.01 * m[0] ** 2

    prior = pdeinv.priors.normal("m", mean=np.zeros(2), std=1.0)
    model = pdeinv.own_model(two, prior=prior, coarse=cheap, gradient="finite-difference")
    found = pdeinv.invert(
        (two([0.3, 0.4]), SIGMA), model=model, engine="two-level", seed=3,
        draws=20, warmup=5, tuning=20,
    )  # fmt: skip
    for kind in ("seconds", "cpu_seconds"):
        training = found.attrs[f"pdeinv_{kind}_training"]
        assert 0 < training < found.attrs[f"pdeinv_{kind}"]
