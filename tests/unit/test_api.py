"""The verbs as Python functions, and models that a user writes."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import pdeinv
from pdeinv.errors import CapabilityError, ConfigError, DataSchemaError, RunFailed, ShapeError
from pdeinv.plugins.own_problem import OwnProblem

A = np.array([[1.0, 2.0, 0.5], [0.5, -1.0, 1.0], [1.0, 1.0, 0.0], [0.3, 0.0, 2.0]])
MEAN, COVARIANCE = np.array([1.0, -0.5, 2.0]), np.diag([1.0, 4.0, 0.25])
SIGMA = 0.3
Y = A @ np.array([1.5, 0.5, 1.7]) + np.array([0.1, -0.2, 0.15, 0.05])


def linear(m):
    return A @ m


def jacobian(m):
    return A


def wrong_jacobian(m):
    return A + 0.2


def prior():
    first = pdeinv.priors.normal("a", mean=MEAN[0], std=1.0, units="m")
    rest = pdeinv.priors.normal("b", mean=MEAN[1:], covariance=COVARIANCE[1:, 1:])
    return [first, rest]


def model(**more):
    return pdeinv.own_model(linear, prior=prior(), data_units="Pa", **more)


def exact():
    precision = np.linalg.inv(COVARIANCE) + A.T @ A / SIGMA**2
    covariance = np.linalg.inv(precision)
    return covariance @ (np.linalg.solve(COVARIANCE, MEAN) + A.T @ Y / SIGMA**2), covariance


def draws(result):
    posterior = result["posterior"]
    parts = [posterior["a"].values[..., None], posterior["b"].values]
    return np.concatenate(parts, axis=-1).reshape(-1, 3)


# --- importing ----------------------------------------------------------------------------------


def loaded_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_pdeinv_imports_nothing_else():
    heavy = {"numpy", "xarray", "pydantic", "typer", "dolfinx", "torch", "arviz", "matplotlib"}
    assert not heavy & loaded_after("import pdeinv; dir(pdeinv)")


def test_an_own_model_needs_neither_solver_nor_network_nor_plots():
    code = (
        "import pdeinv; model = pdeinv.own_model(lambda m: m, prior=pdeinv.priors.normal('a', "
        "mean=[0.0, 1.0])); pdeinv.invert(([1.0, 2.0], 0.1), model=model, engine='eki', seed=1)"
    )
    assert not {"dolfinx", "petsc4py", "torch", "matplotlib"} & loaded_after(code)


def test_every_name_is_there_and_another_is_not():
    for name in pdeinv.__all__:
        assert getattr(pdeinv, name) is not None
        assert name in dir(pdeinv)
    with pytest.raises(AttributeError, match="'inverted'"):
        pdeinv.inverted  # noqa: B018


# --- the exact posterior ------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["laplace", "gaussian"])
def test_the_exact_gaussian_posterior_is_found(engine):
    result = pdeinv.invert((Y, SIGMA), model=model(jacobian=jacobian), engine=engine, seed=1)
    mean, covariance = exact()
    found = draws(result)
    error = np.sqrt(np.diag(covariance) / len(found))
    assert np.all(np.abs(found.mean(0) - mean) < 4 * error)
    assert np.allclose(np.cov(found.T), covariance, rtol=0.15, atol=0.02 * covariance.max())
    assert result.attrs["pdeinv_taylor_slope"] > 1.9
    assert result["posterior"]["a"].attrs["units"] == "m"


def test_pcn_finds_the_exact_posterior_without_a_derivative():
    how = {"draws": 6000, "warmup": 1000, "chains": 2, "thin": 5}
    result = pdeinv.invert((Y, SIGMA), model=model(), engine="pcn", seed=2, **how)
    mean, covariance = exact()
    assert "pdeinv_taylor_slope" not in result.attrs
    found = draws(result)
    ess = json.loads(result.attrs["pdeinv_summary"])["ess_bulk"]
    assert ess > 100
    assert np.all(np.abs(found.mean(0) - mean) < 4 * np.sqrt(np.diag(covariance) / ess))
    assert np.allclose(found.std(0), np.sqrt(np.diag(covariance)), rtol=0.15)


@pytest.mark.parametrize("engine", ["laplace", "pcn"])
def test_a_wrong_gradient_is_refused_with_its_slope(engine):
    with pytest.raises(CapabilityError, match=r"is wrong: Taylor slope 1\.0\d \(2 if right\)"):
        pdeinv.invert((Y, SIGMA), model=model(jacobian=wrong_jacobian), engine=engine, seed=1)


def test_actions_that_contradict_each_other_are_refused():
    twisted = model(jvp=lambda _, v: A @ v, vjp=lambda _, w: (A + 0.2).T @ w)
    with pytest.raises(CapabilityError, match=r"dot-product error [0-9.]+e-0[12]"):
        pdeinv.invert((Y, SIGMA), model=twisted, engine="map", seed=1)


def test_check_reports_a_wrong_gradient():
    found = {v.test: v.ok for v in pdeinv.check(model(jacobian=wrong_jacobian), seed=1)}
    assert found == {"dot product": True, "Taylor slope": False}


def test_an_engine_with_derivatives_refuses_a_model_without():
    with pytest.raises(CapabilityError, match=r"needs jvp, vjp .* offers evaluation only"):
        pdeinv.invert((Y, SIGMA), model=model(), engine="laplace", seed=1)


# --- derivatives ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"jvp": lambda _, v: A @ v},
        {"vjp": lambda _, w: A.T @ w},
        {"jvp": lambda _, v: A @ v, "vjp": lambda _, w: A.T @ w},
        {"gradient": "finite-difference"},
    ],
)
def test_every_way_to_give_a_derivative_leads_to_the_same_point(given):
    result = pdeinv.invert((Y, SIGMA), model=model(**given), engine="map", seed=1)
    assert np.allclose(draws(result)[0], exact()[0], atol=1e-4)


def test_differences_count_every_evaluation():
    calls = []

    def counted(m):
        calls.append(m)
        return np.exp(0.2 * A @ m)

    made = pdeinv.own_model(counted, prior=prior(), gradient="finite-difference")
    found = OwnProblem.of(made)
    from pdeinv.bayes.noise import Noise
    from pdeinv.bayes.posterior import Posterior, WhitenedModel

    whitened = WhitenedModel(found.prior(), found.forward_model(found.sensors("all")))
    posterior = Posterior(found.prior(), whitened, Y, Noise(np.full(4, SIGMA)))
    calls.clear()
    at = posterior.linearize(np.zeros(3))
    at.gauss_newton(np.ones(3))
    assert len(calls) == posterior.counters.n_forward == 1 + 2 * 3
    assert (posterior.counters.n_tangent, posterior.counters.n_adjoint) == (1, 2)


def test_one_missing_action_is_made_of_the_other_and_counted():
    found = OwnProblem.of(model(vjp=lambda _, w: A.T @ w))
    from pdeinv.bayes.noise import Noise
    from pdeinv.bayes.posterior import Posterior, WhitenedModel

    whitened = WhitenedModel(found.prior(), found.forward_model(found.sensors("all")))
    posterior = Posterior(found.prior(), whitened, Y, Noise(np.full(4, SIGMA)))
    at = posterior.linearize(np.zeros(3))
    assert posterior.counters.n_adjoint == 1
    at.jvp(np.ones(3))
    assert (posterior.counters.n_tangent, posterior.counters.n_adjoint) == (1, 1 + 4)


def test_steps_of_differences_keep_positive_unknowns_positive():
    seen = []

    def forward(m):
        seen.append(m.min())
        return np.log(m)

    positive = pdeinv.priors.lognormal("k", median=1e-9, std=3.0)
    made = pdeinv.own_model(forward, prior=positive, gradient="finite-difference")
    found = OwnProblem.of(made)
    at = found.forward_model(found.sensors("all")).linearize(np.array([1e-13]))
    assert at.jvp(np.array([1e-13]))[0] == pytest.approx(1.0, rel=1e-5)
    assert min(seen) > 0


def test_a_derivative_is_given_once():
    with pytest.raises(ConfigError, match="give the derivative once"):
        model(jacobian=jacobian, gradient="finite-difference")


# --- failures -------------------------------------------------------------------------------------


def test_errors_and_nan_are_failed_solves(caplog):
    def moody(m):
        if m[0] > 1.5:
            raise ZeroDivisionError("no pivot")
        return A @ m if m[1] < 0 else np.full(4, np.nan)

    made = pdeinv.own_model(moody, prior=prior())
    data = pdeinv.generate(made, n=40, seed=1)
    failed = data["status"].values == 1
    reasons = set(data["failure"].values[failed])
    assert 0 < failed.sum() < 40
    assert reasons == {
        "forward of the own model raised ZeroDivisionError: no pivot",
        "the solve gave values that are not finite",
    }
    assert caplog.text.count("no pivot") == 1


def test_a_function_that_always_fails_says_why():
    with pytest.raises(ConfigError, match="raised KeyError: 'k', and so at 19 prior draws"):
        pdeinv.invert(
            (Y, SIGMA), model=pdeinv.own_model(lambda _: {}["k"], prior=prior()), engine="pcn"
        )


def test_most_solves_failing_ends_the_run():
    made = pdeinv.own_model(
        lambda m: A @ m if m[0] == 0 else np.full(4, np.nan),
        prior=pdeinv.priors.normal("a", mean=np.zeros(3)),
    )
    with pytest.raises(RunFailed, match="solves failed"):
        pdeinv.invert((Y, SIGMA), model=made, engine="pcn", seed=1)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda _: 1.0, r"must return a list of data, shape \(n_d,\), got shape \(\)"),
        (lambda _: A, r"must return a list of data, shape \(n_d,\), got shape \(4, 3\)"),
        (lambda _: "text", "must return an array of numbers, got str"),
        (lambda m: (A @ m)[: 4 if m[0] == 1 else 3], r"shape \(4,\), got shape \(3,\)"),
    ],
)
def test_a_wrong_shape_is_one_clear_line(forward, message):
    made = pdeinv.own_model(forward, prior=prior())
    with pytest.raises(ShapeError, match=message) as caught:
        pdeinv.invert((Y, SIGMA), model=made, engine="pcn", seed=1)
    assert "\n" not in str(caught.value)


def test_a_jacobian_of_the_wrong_shape_is_one_clear_line():
    with pytest.raises(ShapeError, match=r"jacobian must .* shape \(4, 3\), got shape \(3, 4\)"):
        pdeinv.invert((Y, SIGMA), model=model(jacobian=lambda _: A.T), engine="map", seed=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prior": 3}, "prior: expected one of pdeinv.priors"),
        ({"prior": {"k": {"kind": "gaussion"}}}, "k.prior"),
        ({"prior": [*prior(), prior()[0]]}, "'a' twice"),
        ({"prior": prior(), "data": "a"}, "'a' cannot name"),
        ({"prior": prior(), "coords": {"x": [0.0, 0.0]}}, "two data have the same coords"),
        ({"prior": prior(), "coords": {"x": [[0.0]]}}, "one number per datum"),
        ({"prior": prior(), "coord_units": {"x": "m"}}, "coord_units names 'x'"),
        ({"prior": prior(), "jacobian": A}, "jacobian must be a function, got ndarray"),
        ({"prior": prior(), "gradient": "auto"}, "gradient must be 'finite-difference'"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        pdeinv.own_model(linear, **arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pdeinv.priors.lognormal("k", median=-1.0), "median must be positive"),
        (lambda: pdeinv.priors.normal("k", std=0.0), "std must be positive"),
        (lambda: pdeinv.priors.normal("k", mean=[0.0, 1.0], std=[1.0] * 3), "lists of the same"),
        (lambda: pdeinv.priors.normal("k", std=1.0, covariance=[[1.0]]), "not both"),
        (lambda: pdeinv.priors.normal("k", covariance=[[-1.0]]), "not positive definite"),
        (lambda: pdeinv.priors.uniform("k", low=1.0, high=0.0), "low must be less than high"),
        (lambda: pdeinv.priors.normal("two words"), "expected a name"),
        (lambda: pdeinv.priors.field("k", {"kind": "uniform", "extent": 3}), "extent must be"),
    ],
)
def test_a_prior_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


# --- data -----------------------------------------------------------------------------------------


def test_data_that_were_not_measured_are_left_out():
    made = model(jacobian=jacobian)
    some = Y.copy()
    some[1] = np.nan
    found = pdeinv.invert((some, SIGMA), model=made, engine="map", seed=1)
    rows = [0, 2, 3]
    precision = np.linalg.inv(COVARIANCE) + A[rows].T @ A[rows] / SIGMA**2
    right = np.linalg.solve(COVARIANCE, MEAN) + A[rows].T @ Y[rows] / SIGMA**2
    assert np.allclose(draws(found)[0], np.linalg.solve(precision, right), atol=1e-4)


def test_a_covariance_of_the_noise_is_taken():
    noise = SIGMA**2 * (np.eye(4) + 0.5)
    found = pdeinv.invert((Y, noise), model=model(jacobian=jacobian), engine="map", seed=1)
    precision = np.linalg.inv(COVARIANCE) + A.T @ np.linalg.solve(noise, A)
    right = np.linalg.solve(COVARIANCE, MEAN) + A.T @ np.linalg.solve(noise, Y)
    assert np.allclose(draws(found)[0], np.linalg.solve(precision, right), atol=1e-4)


@pytest.mark.parametrize(
    ("observations", "message"),
    [
        ((Y[:2], SIGMA), "predicts 4 data"),
        ((Y, [0.1, 0.2]), "sigma must be a number"),
        ((Y,), "got 1 parts"),
        (3.0, "expected a path, an xarray Dataset"),
    ],
)
def test_observations_that_do_not_fit_are_refused(observations, message):
    with pytest.raises((ConfigError, DataSchemaError), match=message):
        pdeinv.invert(observations, model=model(), engine="pcn", seed=1)


def test_numbers_without_a_model_are_refused():
    with pytest.raises(ConfigError, match="pass model= as well"):
        pdeinv.invert((Y, SIGMA))


@pytest.mark.parametrize(
    "coords",
    [
        {"t": [0.0, 1.0, 2.0, 3.0]},
        {"x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 0.0, 0.0, 0.0]},
        {"x": [0.0, 1.0, 0.0, 1.0], "y": [0.0, 0.0, 1.0, 1.0]},
        {"frequency": [1.0, 2.0, 3.0, 4.0]},
        None,
    ],
)
def test_truth_data_and_posterior_are_kept_and_drawn(coords, tmp_path):
    made = model(jacobian=jacobian, coords=coords)
    truth = pdeinv.solve(made, seed=1)
    data = pdeinv.observe(truth, noise_rel=0.05, seed=2)
    result = pdeinv.invert(data, model=made, engine="laplace", seed=3)
    assert np.array_equal(draws(result).shape, (draws(result).shape[0], 3))
    for name, shown in (("t", truth), ("o", data), ("r", result)):
        assert pdeinv.plot(shown, tmp_path / f"{name}.png").stat().st_size > 1000
    assert pdeinv.plot(result, tmp_path / "both.png", truth=truth).exists()
    scores = pdeinv.score(result, truth, metrics=["rel-l2", "rel-l2:a", "rel-l2:b"])
    assert all(0 < v < 1 for v in scores.values())
    assert pdeinv.score(truth, truth)["rel-l2"] == 0


def test_the_unknown_can_be_given_and_named():
    made = model()
    m = np.array([1.0, 2.0, 3.0])
    truth = pdeinv.solve(made, m=m, seed=1)
    assert np.allclose(truth["data"], A @ m)
    assert truth["data"].attrs["units"] == "Pa"
    assert np.array_equal(made.unpack(m)["b"], [2.0, 3.0])
    with pytest.raises(ConfigError, match="the unknown has 3 numbers, got 2"):
        pdeinv.solve(made, m=[1.0, 2.0])


def test_an_own_model_has_neither_other_sensors_nor_a_grid():
    made = model()
    truth = pdeinv.solve(made, seed=1)
    with pytest.raises(ConfigError, match="use 'all'"):
        pdeinv.observe(truth, sensors="grid:3x3", noise_rel=0.1)
    with pytest.raises(ConfigError, match="no field on a grid"):
        pdeinv.generate(made, n=4, grid=(5, 5), seed=1)


def test_a_field_may_be_the_unknown_by_a_table_of_the_run_file():
    x = np.linspace(0, 1, 9)
    table = {"k": {"kind": "log-gaussian", "grid": [9], "modes": 3, "units": "m s-1"}}
    made = pdeinv.own_model(lambda m: np.cumsum(1 / m), prior=table, coords={"x": x})
    truth = pdeinv.solve(made, seed=1)
    assert truth["unknown"]["k"].dims == ("x",)
    data = pdeinv.observe(truth, noise_rel=0.02, seed=1)
    result = pdeinv.invert(data, model=made, engine="eki", seed=1)
    assert math.isfinite(pdeinv.score(result, truth)["rel-l2"])


# --- surrogates and two-level ---------------------------------------------------------------------

LENGTHS = {"draws": 200, "warmup": 50, "tuning": 100, "chains": 2}


def cubic(m):
    return A @ m + 0.02 * (A @ m) ** 3


def test_two_level_walks_a_surrogate_that_was_trained_for_the_model():
    made = pdeinv.own_model(cubic, prior=prior())
    around = pdeinv.invert((Y, SIGMA), model=made, engine="eki", seed=1)
    data = pdeinv.generate(made, n=80, around=around, seed=2)
    surrogate = pdeinv.train_surrogate("gp", data, seed=3, noise_std=SIGMA)
    figures = pdeinv.evaluate(surrogate, around=around, n=10, seed=4)
    assert figures["regions"]["posterior"]["relative_l2"] < 0.05
    how = {"model": made, "engine": "two-level", "surrogate": surrogate, "seed": 5}
    result = pdeinv.invert((Y, SIGMA), **how, **LENGTHS)
    assert result.attrs["pdeinv_n_surrogate"] > result.attrs["pdeinv_n_forward"]
    assert np.all(np.abs(draws(result).mean(0) - draws(around).mean(0)) < 0.5)


# two rounds of thirty solves leave much of the prior, where chains start, unseen
@pytest.mark.filterwarnings("ignore:.* lie outside its training range")
@pytest.mark.parametrize(
    "derivative", [{}, pytest.param({"gradient": "finite-difference"}, marks=pytest.mark.slow)]
)
def test_two_level_learns_from_a_coarse_twin(derivative):
    made = pdeinv.own_model(cubic, prior=prior(), coarse=linear, **derivative)
    training = {"round_size": 30, "max_rounds": 2, "target_sd": 50.0, "moves": 20}
    how = {"model": made, "engine": "two-level", "tables": {"surrogate": training}, "seed": 5}
    result = pdeinv.invert((Y, SIGMA), **how, **LENGTHS)
    pcn = pdeinv.invert(
        (Y, SIGMA), model=made, engine="pcn", seed=6, draws=3000, chains=2, warmup=500
    )
    assert np.all(np.abs(draws(result).mean(0) - draws(pcn).mean(0)) < 0.5 * draws(pcn).std(0))


@pytest.mark.parametrize(("n", "given"), [(20, True), (21, False)])
def test_a_coarse_function_of_few_unknowns_gets_differences(n, given):
    """Without a derivative the chains on it would look for no modes."""
    wide = pdeinv.priors.normal("m", mean=[0.0] * n, std=1.0)
    made = pdeinv.own_model(np.cumsum, prior=wide, coarse=np.cumsum)
    assert made.coarse.derivative.given is given
    assert not made.derivative.given  # the model's own evaluations are what a run pays for


def test_two_level_without_a_twin_is_refused_with_advice():
    with pytest.raises(
        CapabilityError, match=r"no coarse level -1; give own_model\(coarse=\.\.\.\)"
    ):
        pdeinv.invert((Y, SIGMA), model=model(), engine="two-level", seed=1)


# --- processes and files --------------------------------------------------------------------------


def test_a_lambda_cannot_be_sent_to_workers():
    made = pdeinv.own_model(lambda m: A @ m, prior=prior())
    for run in (
        lambda: pdeinv.invert((Y, SIGMA), model=made, engine="pcn", workers=2, seed=1),
        lambda: pdeinv.generate(made, n=40, workers=2, seed=1),
    ):
        with pytest.raises(ConfigError, match=r"workers = 2: .* give it as 'module:factory'"):
            run()


def test_another_model_of_the_same_name_is_none_that_a_surrogate_knows():
    data = pdeinv.generate(model(), n=40, seed=1)
    surrogate = pdeinv.train_surrogate("gp", data, seed=1)
    other = pdeinv.own_model(
        linear, prior=[*prior()[:1], pdeinv.priors.normal("b", mean=[0.0, 0.0])]
    )
    with pytest.raises(pdeinv.PdeinvError, match="another prior"):
        pdeinv.invert(
            (Y, SIGMA), model=other, engine="two-level", surrogate=surrogate, seed=1, **LENGTHS
        )


def test_the_verbs_read_and_write_files(tmp_path):
    made = model(jacobian=jacobian)
    out = {name: tmp_path / f"{name}.nc" for name in ("truth", "obs", "map", "data")}
    pdeinv.solve(made, seed=1, out=out["truth"])
    pdeinv.observe(out["truth"], noise_rel=0.05, seed=2, out=out["obs"])
    pdeinv.invert(out["obs"], model=made, engine="map", seed=3, out=out["map"])
    pdeinv.generate(made, n=40, seed=4, out=out["data"])
    pdeinv.train_surrogate("gp", out["data"], seed=5, out=tmp_path / "gp")
    assert isinstance(pdeinv.load(out["truth"]), xr.DataTree)
    assert isinstance(pdeinv.load(out["obs"]), xr.Dataset)
    assert pdeinv.load(out["map"]).attrs["pdeinv_problem"] == "own"
    assert pdeinv.load(out["data"]).sizes["sample"] == 40
    assert pdeinv.load(tmp_path / "gp").name == "gp"
    assert (tmp_path / "map.nc.toml").exists()
    with pytest.raises(pdeinv.PdeinvError, match="exists"):
        pdeinv.invert(out["obs"], model=made, engine="map", seed=3, out=out["map"])


def test_a_resumed_run_ends_with_the_same_bits(tmp_path):
    made, data = model(), (Y, SIGMA)
    how = {"model": made, "engine": "pcn", "seed": 7, "chains": 2, "warmup": 50}
    whole = pdeinv.invert(data, **how, draws=400)
    pdeinv.invert(data, **how, draws=150, out=tmp_path / "r.nc")
    resumed = pdeinv.invert(data, **how, draws=400, out=tmp_path / "r.nc", resume=True)
    assert np.array_equal(draws(whole), draws(resumed))


# --- problems that are registered -----------------------------------------------------------------


def test_a_registered_problem_goes_the_same_way(tmp_path):
    unknown = {"kind": "log-gaussian", "modes": 4, "grid": [9, 9]}
    darcy = pdeinv.problem("darcy", cells=8, unknown=unknown)
    truth = pdeinv.solve(darcy, seed=1)
    data = pdeinv.observe(truth, sensors="grid:3x3", noise_rel=0.02, seed=2)
    result = pdeinv.invert(data, engine="map", seed=3)
    assert pdeinv.score(result, truth)["rel-l2"] < 1
    for what in (result, truth):
        path = pdeinv.export(what, tmp_path / "fields.vtkhdf", overwrite=True)
        assert path.stat().st_size > 1000
    assert all(v.ok is not False for v in pdeinv.check(data, seed=1))
    assert all(v.ok is not False for v in pdeinv.check(darcy, seed=1))
    with pytest.raises(ConfigError, match="did you mean 'darcy'"):
        pdeinv.problem("darci")


def test_what_is_installed_is_listed():
    assert {"darcy", "heat"} <= {e["name"] for e in pdeinv.list_plugins("problems")["problems"]}
    assert set(pdeinv.list_plugins()) == {"problems", "surrogates", "engines"}
    with pytest.raises(ConfigError, match="unknown kind 'models'"):
        pdeinv.list_plugins("models")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pdeinv.problem("darcy", cells=0), "cells: must be at least 1 (got 0)"),
        (
            lambda: pdeinv.invert((Y, SIGMA), model=model(), noise_std=math.nan),
            "noise_std: input should be greater than 0 (got nan)",
        ),
        (
            lambda: pdeinv.invert((Y, SIGMA), model=model(), engine="pcn", draws=0),
            "draws: input should be greater than or equal to 1 (got 0)",
        ),
        (
            lambda: pdeinv.invert((Y, SIGMA), model=model(), tables={"budget": {"n_forward": 0}}),
            "budget.n_forward: input should be greater than or equal to 1 (got 0)",
        ),
        (
            lambda: pdeinv.observe(pdeinv.solve(model(), m="mean"), model=model()),
            "no noise given; pass noise_std (absolute) or noise_rel (relative to the largest "
            "value)",
        ),
        (
            lambda: pdeinv.observe(xr.Dataset(), noise_std=1.0, noise_rel=1.0),
            "give the noise once: noise_std or noise_rel, not both",
        ),
        (
            lambda: pdeinv.solve("darcy", seed=-1),
            "seed: expected an integer from 0 to 18446744073709551615, got -1",
        ),
        (lambda: pdeinv.generate("darcy", n=0), "n: expected a whole number of at least 1, got 0"),
        (
            lambda: pdeinv.generate("darcy", n=3, design="grid"),
            "design: expected prior, lhs, sobol, got 'grid'",
        ),
        (
            lambda: pdeinv.plot(xr.Dataset(), dpi=0),
            "dpi: expected a whole number of at least 30, got 0",
        ),
    ],
)
def test_errors_name_the_arguments_of_the_function(call, message):
    with pytest.raises(pdeinv.PdeinvError) as caught:
        call()
    assert str(caught.value) == message


def test_an_output_that_is_there_is_kept_and_the_argument_that_replaces_it_named(tmp_path):
    truth, out = pdeinv.solve(model(), m="mean"), tmp_path / "there.nc"
    obs = pdeinv.observe(truth, noise_std=0.1, model=model(), out=out)
    with pytest.raises(pdeinv.PdeinvError, match=r"add overwrite=True, or choose another out$"):
        pdeinv.observe(truth, noise_std=0.1, model=model(), out=out)
    with pytest.raises(pdeinv.PdeinvError, match="overwrite=True or resume=True, or choose"):
        pdeinv.invert(obs, model=model(), out=out)
    pdeinv.observe(truth, noise_std=0.2, model=model(), out=out, overwrite=True)
    assert xr.load_dataset(out)["data_sigma"][0] == pytest.approx(0.2)
