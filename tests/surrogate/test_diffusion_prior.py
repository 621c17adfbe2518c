"""A learned prior: it denoises nearly as the exact one, resumes to the bit, is of one prior."""

from dataclasses import replace

import numpy as np
import pytest
from diffusion_cases import GAUSSIAN, PHASES, SMALL, drawn

from pdeinv.bayes.prior import whiten
from pdeinv.engines.diffusion.prior import law_draws
from pdeinv.errors import (
    CapabilityError,
    ConfigError,
    DataSchemaError,
    Preempted,
    SurrogateRejected,
)
from pdeinv.jobs.evaluate import Request
from pdeinv.jobs.evaluate_denoiser import examine, short_waves, spectrum, told, verdict
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.jobs.plot.sheet import sheets
from pdeinv.jobs.training_set import check_inputs, open_training_set
from pdeinv.plugins.conformance import check_surrogate
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.law import law_of
from pdeinv.plugins.recipe import make_problem
from pdeinv.plugins.registry import load
from pdeinv.surrogates.diffusion.cosines import Cosines, NoisyFields
from pdeinv.surrogates.diffusion.surrogate import DiffusionPrior

pytestmark = pytest.mark.usefixtures("solves_here")


def fitted(case, run=None, **options):
    problem, data = case
    config = DiffusionPrior.Config(**{**SMALL, **options})
    return DiffusionPrior.fit(data, problem, config, 1, run)


def law_in(case, trained):
    problem, data = case
    return law_of(trained, problem, problem.prior(), data.sensors)


@pytest.fixture(scope="module")
def gaussian():
    return drawn(GAUSSIAN, 600)


@pytest.fixture(scope="module")
def phases():
    return drawn(PHASES, 300)


@pytest.fixture(scope="module")
def learned(gaussian):
    return fitted(gaussian)


@pytest.fixture(scope="module")
def learned_phases(phases):
    return fitted(phases)


def test_fields_and_coordinates_determine_each_other(learned, gaussian):
    prior, _ = law_in(gaussian, learned)
    zeta = np.random.default_rng(0).standard_normal((4, prior.dim))
    fields = learned.cosines.mean + learned.cosines.centred(zeta)
    np.testing.assert_allclose(learned.cosines.zeta(fields), zeta, atol=1e-9)
    np.testing.assert_allclose(np.log(prior.unwhiten(zeta)), fields, atol=1e-9)


def test_noise_of_one_unit_has_the_power_that_its_modes_say(learned):
    cosines = learned.cosines
    noise = cosines.centred(np.random.default_rng(0).standard_normal((4000, cosines.dim)))
    assert np.mean(noise**2) == pytest.approx(cosines.power.sum(), rel=0.05)


def test_it_denoises_a_gaussian_field_nearly_as_well_as_is_possible(learned, gaussian):
    problem, _ = gaussian
    _, law = law_in(gaussian, learned)
    field = problem.prior().field
    root = learned.cosines.zeta(learned.cosines.mean + field.apply(np.eye(field.dim)))
    covariance, middle = root.T @ root, learned.cosines.zeta(field.mean[None])
    rng = np.random.default_rng(5)
    clean = rng.standard_normal((300, field.dim)) @ root + middle
    for level, most in ((0.3, 1.1), (1.0, 1.06), (3.0, 1.03)):
        noisy = clean + level * rng.standard_normal(clean.shape)
        gain = covariance @ np.linalg.inv(covariance + level**2 * np.eye(len(covariance)))
        found = {
            "exact": (noisy - middle) @ gain.T + middle,
            "learned": law(noisy, level),
            "wiener": learned.cosines.wiener(noisy, level),
        }
        off = {
            k: np.sqrt(np.mean(learned.cosines.centred(v - clean) ** 2)) for k, v in found.items()
        }
        assert off["learned"] < most * off["exact"], (level, off)
        # of noise that is three times as large as the fields, nothing is left to learn
        assert off["learned"] < off["wiener"] * (1 if level < 3 else 1.01), (level, off)


def test_evaluate_tells_errors_beside_the_wiener_filter_and_the_exact_ones(learned, tmp_path):
    learned.save(tmp_path / "p")
    seen = examine(Request(tmp_path / "p", {}, n=100, seed=2))
    found = told(seen)
    for one in found.figures["components"]:
        assert one["exact"] < 1.01 * min(one["learned"], one["wiener"]), one
    assert found.root["conductivity_drawn"].shape == (100, 9, 9)
    assert found.root["spectrum_of_draws"].sum() == pytest.approx(
        found.figures["sd_of_draws"] ** 2, rel=0.1
    )
    assert abs(found.figures["volume_of_draws"] - found.figures["volume_of_fields"]) < 0.2
    assert seen.label == "ln conductivity"
    pair = (seen.fields(z).reshape(-1, 9, 9) for z in (seen.clean, seen.drawn))
    for flag, words in {"--level": {"level": 1}, "--sensors": {"sensors": "grid:3x3"}}.items():
        with pytest.raises(ConfigError, match=f"without a solve; leave {flag} out"):
            examine(Request(tmp_path / "p", {}, n=100, seed=2, **words))
    pair = tuple(pair)
    for name, n in (("sheet", 100), ("few", 3)):
        sheets(*(values[:n] for values in pair), tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(0.43, "good: "), (0.98, "little more than a Gaussian: "), (1.0, "no more than a Gaussian: "),
     (1.1, "weak: ")],
)  # fmt: skip
def test_what_hardly_differs_from_a_gaussian_is_not_good(ratio, said):
    assert verdict(ratio).startswith(said)


def test_noise_is_three_quarters_short_waves_and_a_slow_field_has_none():
    noise = np.random.default_rng(0).standard_normal((200, 16, 16))
    assert short_waves(noise) == pytest.approx(0.75, abs=0.01)
    wave = np.cos(np.pi * 2 * (np.arange(16) + 0.5) / 16)
    assert short_waves(noise[:, :1, :1] * wave) < 1e-12


def test_the_spectrum_of_a_wave_stands_at_its_number_and_sums_to_the_variance():
    rng = np.random.default_rng(0)
    wave = np.cos(np.pi * 3 * (np.arange(16) + 0.5) / 16)
    images = rng.standard_normal((50, 1, 1)) * wave
    power = spectrum(images)
    assert np.argmax(power) == 3
    assert power.sum() == pytest.approx(np.mean(images.var(axis=0)))
    assert power[3] == pytest.approx(power.sum())


def test_an_untrained_network_is_the_wiener_filter(gaussian):
    trained = fitted(gaussian, epochs=1, learning_rate=1e-12)
    _, law = law_in(gaussian, trained)
    noisy = np.random.default_rng(0).standard_normal((3, law.space.size))
    np.testing.assert_allclose(law(noisy, 0.7), trained.cosines.wiener(noisy, 0.7), atol=1e-6)


def test_draws_have_the_moments_of_the_fields(learned, gaussian):
    problem, _ = gaussian
    own, law = law_in(gaussian, learned)
    found = np.log(own.unwhiten(law_draws(law, np.random.default_rng(1), 200)))
    true = problem.prior().gaussian(np.random.default_rng(2).standard_normal((4000, 6)))
    np.testing.assert_allclose(found.mean(), true.mean(), atol=0.15)
    assert found.std() == pytest.approx(true.std(), rel=0.15)


def test_draws_of_phases_have_two_of_them(learned_phases, phases):
    own, law = law_in(phases, learned_phases)
    found = np.log(own.unwhiten(law_draws(law, np.random.default_rng(1), 200)))
    middle = np.mean(np.abs(found - np.log(6)) < 0.35)  # a Gaussian of this spread: 39 %
    assert middle < 0.3
    assert own.differentiable


def test_it_keeps_the_protocol():
    problem, data = drawn(GAUSSIAN, 200)
    fields = problem.prior().unwhiten(data.xi).reshape(-1, 9, 9)
    axes = {"y": np.linspace(0, 1, 9), "x": np.linspace(0, 1, 9)}
    data = replace(data, coefficient=fields, field=fields, axes=axes)
    options = {**SMALL, "epochs": 3}
    report = check_surrogate("diffusion-prior", options, problem=problem, dataset=data)
    report.raise_for_failures()


@pytest.mark.parametrize("backbone", ["unet", "uno"])
def test_a_stopped_training_goes_on_to_the_same_bits(phases, tmp_path, backbone):
    how = {"epochs": 3, "backbone": backbone}
    whole = fitted(phases, FitRun(tmp_path / "a"), **how)
    asked = iter([False] * 20 + [True] * 10_000)
    with pytest.raises(Preempted):
        fitted(phases, FitRun(tmp_path / "b", should_stop=lambda: next(asked)), **how)
    again = fitted(phases, FitRun(tmp_path / "b", resume=True), **how)
    for name, values in whole.weights.items():
        np.testing.assert_array_equal(again.weights[name], values)


def test_noise_is_drawn_anew_in_each_epoch_and_the_same_each_time():
    rows = NoisyFields(np.zeros((5, 4)), 1)
    first = rows[[2, 4]]
    np.testing.assert_array_equal(rows[[4]], first[1:])
    rows.begin(1)
    assert not np.any(rows[[2, 4]] == first)


def test_draws_that_nothing_was_solved_for_are_enough(phases, tmp_path):
    problem, _ = phases
    table = problem.config.model_dump(mode="json")
    nowhere = {"x": np.zeros(0), "y": np.zeros(0)}
    generate(Plan("darcy", table, nowhere, 60, 4), tmp_path / "data.nc", tmp_path / "run")
    data = open_training_set(tmp_path / "data.nc", {})
    assert data.values.shape == (60, 0)
    check_inputs(data, DiffusionPrior)
    trained = fitted((problem, data), epochs=1)
    trained.save(tmp_path / "p")
    law_in((problem, data), DiffusionPrior.load(tmp_path / "p"))
    with pytest.raises(DataSchemaError, match="'gp' learns from data, and this data set holds"):
        check_inputs(data, load("surrogates", "gp"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unknown": {"kind": "two-phase", "grid": [9, 9], "high": 10.0}}, "unknown.high = 12.0"),
        ({"unknown": {"kind": "two-phase", "grid": [9, 9], "tau": 4.0}}, "unknown.tau"),
        ({"lengths": [2.0, 1.0]}, "lengths"),
        ({"unknown": {"kind": "two-phase", "grid": [11, 11]}}, "unknown"),
    ],
)
def test_another_prior_range_geometry_or_grid_is_refused(learned_phases, change, said):
    problem = make_problem("darcy", {**PHASES, **change})
    with pytest.raises(SurrogateRejected, match=said):
        learned_phases.bind(problem, problem.prior(), problem.sensors("grid:2x2"))


def test_another_problem_is_refused(learned_phases):
    problem = make_problem("heat", {})
    with pytest.raises(SurrogateRejected, match="for problem 'darcy', this run is 'heat'"):
        learned_phases.bind(problem, problem.prior(), {})


def test_any_sensors_do(learned_phases, phases):
    problem, data = phases
    own, other = (
        learned_phases.bind(problem, problem.prior(), at)
        for at in (data.sensors, problem.sensors("grid:7x3"))
    )
    noisy = np.random.default_rng(0).standard_normal((2, own.space.size))
    np.testing.assert_array_equal(own(noisy, 0.4), other(noisy, 0.4))


def with_fields(data, coefficient):
    return replace(data, xi=np.full_like(data.xi, np.nan), coefficient=coefficient)


def test_fields_without_xi_are_learned_from(phases):
    problem, data = phases
    m = problem.prior().unwhiten(data.xi)
    trained = fitted((problem, with_fields(data, m.reshape(-1, 9, 9))), epochs=1)
    same = fitted(phases, epochs=1)
    np.testing.assert_array_equal(trained.cosines.variance, same.cosines.variance)


def with_seventh(value):
    """The fields with another one in the seventh place."""
    return lambda m: np.concatenate([m[:7], value * m[7:8], m[8:]])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (with_seventh(np.nan), "sample 7 .* finite"),
        (with_seventh(-1.0), "sample 7 is not positive"),
        (lambda m: m[:, :5], "on the grid of the unknown, 9x9, got 5x9"),
        (np.ones_like, "fields are the same"),
        (lambda m: m[:20], "at least 50 fields, got 20"),
        (lambda m: np.exp(np.random.default_rng(1).standard_normal(m.shape)), "rougher than noise"),
        (lambda _: None, "got none"),
    ],
)
def test_fields_that_no_law_can_be_learned_from_are_refused(phases, fields, said):
    problem, data = phases
    found = fields(problem.prior().unwhiten(data.xi).reshape(-1, 9, 9))
    n = 300 if found is None else len(found)
    with pytest.raises(DataSchemaError, match=said):
        fitted((problem, with_fields(data.rows(slice(0, n)), found)))


def test_a_xi_of_some_samples_only_is_told_as_such(phases):
    problem, data = phases
    xi = data.xi.copy()
    xi[[3, 5], 2] = np.nan
    with pytest.raises(DataSchemaError, match=r"xi of sample 3 \(and of 1 more\) is not finite"):
        fitted((problem, replace(data, xi=xi)))


def test_an_unknown_that_is_no_field_is_refused():
    config = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [1, 1]}}
    with pytest.raises(DataSchemaError, match="one of a field on a plane grid"):
        fitted(drawn(config, 100))


def test_a_denoiser_without_spread_ends_in_one_line(learned_phases, phases):
    problem, data = phases

    class Bare:
        name, bind = "bare", lambda *_: Bare()
        space = learned_phases.bind(problem, problem.prior(), data.sensors).space

    with pytest.raises(CapabilityError, match="'bare' is bound to a denoiser without `spread`"):
        law_of(Bare(), problem, problem.prior(), data.sensors)


def test_smoother_noise_than_the_fields_is_refused(phases):
    with pytest.raises(DataSchemaError, match="rougher than noise of decay 3: short waves"):
        fitted(phases, decay=3.0)


def test_storage_gives_the_same_law(learned_phases, phases, tmp_path):
    learned_phases.save(tmp_path / "p")
    _, law = law_in(phases, learned_phases)
    _, other = law_in(phases, DiffusionPrior.load(tmp_path / "p"))
    noisy = np.random.default_rng(0).standard_normal((3, law.space.size))
    np.testing.assert_array_equal(law(noisy, 0.4), other(noisy, 0.4))
    assert isinstance(learned_phases.cosines, Cosines)
    clean = whiten(other.prior, other.prior.unwhiten(noisy))
    np.testing.assert_allclose(clean, noisy, atol=1e-6)
