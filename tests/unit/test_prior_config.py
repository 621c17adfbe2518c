"""Priors by configuration: labels, meanings, round trips and refused values."""

import math
from typing import get_args

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import sparse

from pdeinv.bayes.field_prior import build, build_spde
from pdeinv.bayes.fields.fft import CirculantField
from pdeinv.bayes.fields.kl import KarhunenLoeveField
from pdeinv.bayes.fields.spde import MeshMatrices
from pdeinv.bayes.prior_config import (
    GaussianConfig,
    LevelSetConfig,
    LogGaussianConfig,
    PiecewiseConfig,
    TwoPhaseConfig,
    UniformConfig,
    UnknownConfig,
)
from pdeinv.config import Config, dump_toml, parse, parse_toml
from pdeinv.errors import ConfigError

LABELS = {"name": "kappa", "units": "m2", "long_name": "permeability"}
CONFIGS = [
    LogGaussianConfig(),
    LogGaussianConfig(smoothness=math.inf, length=0.2, modes=0.9),
    LogGaussianConfig(representation="fft", grid=(9, 8)),
    GaussianConfig(smoothness=0.7, mean=3.0, std=2.0),
    PiecewiseConfig(cells=(3, 2), measure="linear"),
    TwoPhaseConfig(grid=(9, 9), modes=4),
    LevelSetConfig(grid=(9, 9), constant_mode=False),
    UniformConfig(low=-1.0, high=2.0),
    UniformConfig(cells=(2, 3)),
]


class Holder(Config):
    unknown: UnknownConfig = LogGaussianConfig()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.kind)
def test_every_configuration_builds_a_labelled_prior(config):
    prior = build(config, **LABELS, extent=((0.0, 2.0), (1.0, 2.0)), coord_units="km")
    xi = np.random.default_rng(0).standard_normal((4, prior.dim))
    array = prior.space.unpack(prior.unwhiten(xi), ("draw",))["kappa"]
    assert array.attrs == {"units": "m2", "long_name": "permeability"}
    assert np.isfinite(array).all()
    if array.ndim > 1:
        assert array.dims == ("draw", "y", "x")
        assert array.x.attrs["units"] == "km"
        assert float(array.y.min()) >= 1


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.kind)
def test_a_configuration_survives_toml(config):
    text = dump_toml({"unknown": config.model_dump(mode="json")})
    assert parse(Holder, parse_toml(text, "text"), "").unknown == config


def test_the_default_is_a_kl_expansion_of_16_modes():
    prior = build(LogGaussianConfig(), **LABELS)
    assert isinstance(prior.field, KarhunenLoeveField)
    assert prior.dim == 16
    assert prior.space["kappa"].shape == (33, 33)
    assert prior.field.captured == pytest.approx(0.960, abs=1e-3)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("representation", ["kl", "fft"])
def test_fields_live_on_intervals_rectangles_and_boxes(d, representation):
    config = GaussianConfig(representation=representation, grid=(6, 5, 4)[:d], modes=3)
    prior = build(config, **LABELS, extent=((0.0, 1.0),) * d)
    assert prior.space["kappa"].dims == ("z", "y", "x")[-d:]
    assert prior.space["kappa"].shape == (4, 5, 6)[-d:]
    assert isinstance(prior.field, KarhunenLoeveField if representation == "kl" else CirculantField)


def test_mean_and_std_belong_to_the_logarithm_of_a_log_gaussian_unknown():
    settings = {"grid": (6, 6), "modes": 36, "mean": 1.5, "std": 0.7}
    log_prior = build(LogGaussianConfig(**settings), **LABELS)
    plain = build(GaussianConfig(**settings), **LABELS)
    xi = np.random.default_rng(0).standard_normal(36)
    np.testing.assert_allclose(np.log(log_prior.unwhiten(xi)), plain.unwhiten(xi), rtol=1e-13)
    np.testing.assert_allclose(plain.unwhiten(np.zeros(36)), 1.5)
    root = plain.field.apply(np.eye(36))
    np.testing.assert_allclose(np.sum(root**2, axis=0), 0.49, rtol=1e-10)


def test_two_phase_defaults_are_the_operator_learning_benchmark():
    config = TwoPhaseConfig()
    assert (config.low, config.high, config.tau, config.alpha) == (3.0, 12.0, 3.0, 2.0)
    prior = build(config, **LABELS)
    assert prior.dim == 65 * 65
    xi = np.zeros(prior.dim)
    xi[0] = 1.0
    assert set(prior.unwhiten(xi)) == {12.0}
    assert set(prior.unwhiten(-xi)) == {3.0}
    # First mode over constant mode: sqrt(2) (9 + π²)^(-1) 9 at the origin.
    xi[:] = 0
    xi[1] = 1.0
    ratio = prior.gaussian(xi)[0] / prior.gaussian(np.eye(1, prior.dim)[0])[0]
    assert ratio == pytest.approx(math.sqrt(2) * 9 / (9 + math.pi**2), rel=1e-12)


def test_thresholds_are_in_standard_deviations_whatever_the_spectrum():
    for tau in (1.0, 10.0):
        config = LevelSetConfig(tau=tau, grid=(17, 17), thresholds=(1.0,), values=(0.0, 1.0))
        prior = build(config, **LABELS)
        pointwise = np.sum(prior.field.apply(np.eye(prior.dim)) ** 2, axis=0)
        assert np.mean(pointwise) == pytest.approx(1.0, rel=0.15)


def test_a_uniform_unknown_without_cells_is_one_number():
    prior = build(UniformConfig(low=2.0, high=4.0), **LABELS)
    assert prior.space["kappa"].dims == ()
    np.testing.assert_allclose(prior.unwhiten(np.zeros((3, 1))), 3.0)
    assert prior.space.unpack(np.array([2.5]))["kappa"].item() == 2.5


def test_a_mesh_prior_is_labelled_by_vertex():
    n = 5
    eye = sparse.eye(n, format="csr")
    xy = np.random.default_rng(0).uniform(size=(n, 2))
    mesh = MeshMatrices(xy, np.ones(n), eye, 0 * eye)
    config = LogGaussianConfig(representation="spde", smoothness=1.0, mean=2.0)
    prior = build_spde(config, mesh, **LABELS)
    array = prior.space.unpack(prior.unwhiten(np.zeros(n)))["kappa"]
    assert array.dims == ("vertex",)
    np.testing.assert_allclose(array, math.exp(2.0))
    np.testing.assert_array_equal(array.y, xy[:, 1])


@pytest.mark.parametrize(
    ("config", "extent", "message"),
    [
        (LogGaussianConfig(representation="spde"), ((0, 1), (0, 1)), "'spde' needs a mesh, which"),
        (
            LogGaussianConfig(length=0.01),
            ((0, 1), (0, 1)),
            "length: 0.01 is below the grid spacing",
        ),
        (
            LogGaussianConfig(),
            ((0, 1),),
            r"grid: expected 1 numbers for a 1-D domain, got \(33, 33\)",
        ),
        (PiecewiseConfig(), ((0, 1),), r"cells: expected 1 numbers for a 1-D domain, got \(4, 4\)"),
        (TwoPhaseConfig(modes=66), ((0, 1), (0, 1)), "modes: expected 1 to 65 per axis"),
        (
            LogGaussianConfig(modes=2000),
            ((0, 1), (0, 1)),
            "modes: expected a whole number from 1 to",
        ),
    ],
)
def test_what_does_not_fit_the_domain_is_refused(config, extent, message):
    with pytest.raises(ConfigError, match=message):
        build(config, **LABELS, extent=extent)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"kind": "log-gaussian", "std": 0},
            r"^unknown.std: input should be greater than 0 \(got 0\)$",
        ),
        (
            {"kind": "log-gaussian", "mean": math.nan},
            r"^unknown.mean: input should be a finite number",
        ),
        (
            {"kind": "log-gaussian", "smoothness": 25},
            r"^unknown.smoothness: must be at most 20, or inf",
        ),
        (
            {"kind": "log-gaussian", "modes": 2.5},
            r"^unknown.modes: must be a whole number, or a share",
        ),
        (
            {"kind": "log-gaussian", "modes": float("inf")},
            r"^unknown.modes: must be a whole number, or a share of .* \(got inf\)",
        ),
        (
            {"kind": "log-gaussian", "modes": "all"},
            r"^unknown.modes: input should be a valid integer",
        ),
        (
            {"kind": "log-gaussian", "grid": [3, 0]},
            r"^unknown.grid.1: input should be greater than or",
        ),
        (
            {"kind": "log-gaussian", "lenght": 1},
            r"^unknown key 'unknown.lenght'; did you mean 'length'",
        ),
        ({"kind": "log-gaussian", "measure": "log"}, r"^unknown key 'unknown.measure'"),
        ({"kind": "uniform", "low": 2}, r"^unknown: low must be less than high, got low 2, high 1"),
        (
            {"kind": "level-set", "values": [1, 2]},
            r"^unknown: level set: expected increasing thresh",
        ),
        (
            {"kind": "piecewise", "measure": "ln"},
            r"^unknown.measure: input should be 'log' or 'linear'",
        ),
        (
            {"kind": "lognormal"},
            r"^unknown: input tag 'lognormal' found using 'kind' does not match",
        ),
        ({"std": 1.0}, r"^unknown: the key 'kind', which says what it is, is missing$"),
    ],
)
def test_bad_values_are_refused_with_the_key_as_the_user_wrote_it(table, message):
    with pytest.raises(ConfigError, match=message):
        parse(Holder, {"unknown": table}, "")


@pytest.mark.parametrize("kind", get_args(get_args(UnknownConfig)[0]), ids=lambda c: c.__name__)
def test_every_setting_is_described(kind):
    for name, field in kind.model_fields.items():
        assert field.description or name == "kind"
    assert kind().kind == TypeAdapter(UnknownConfig).validate_python({"kind": kind().kind}).kind
