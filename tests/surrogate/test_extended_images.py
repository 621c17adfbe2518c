"""Images from data that solutions extend into the body: learning, missing data, attention."""

import numpy as np
import pytest
from image_sets import bound_to, fitted, made

from pdeinv.errors import ConfigError
from pdeinv.surrogates.reconstruction.average import AverageImage
from pdeinv.surrogates.reconstruction.extended import EitTransformer, InverseUnet
from pdeinv.surrogates.reconstruction.modes import Seen
from pdeinv.surrogates.reconstruction.unet import UnetSize, unet

pytestmark = pytest.mark.usefixtures("solves_here")

DARCY = {"cells": [12, 12], "unknown": {"kind": "log-gaussian", "grid": [9, 9], "modes": 6}}


@pytest.fixture(scope="module")
def darcy(tmp_path_factory):
    return made("darcy", DARCY, "grid:5x5", 40, tmp_path_factory.mktemp("darcy"))


def chest_unet(kind, disc, **options):
    small = {"epochs": 24, "width": 8, "learning_rate": 5e-3, "patience": 24}
    return fitted(kind, disc, **{**small, **options})


@pytest.fixture(scope="module")
def extended(disc):
    kinds = {"unet": (InverseUnet, {}), "fourier": (EitTransformer, {"members": 2}),
             "galerkin": (EitTransformer, {"attention": "galerkin"})}  # fmt: skip
    return {k: chest_unet(kind, disc, **options) for k, (kind, options) in kinds.items()}


@pytest.mark.parametrize("name", ["unet", "fourier", "galerkin"])
def test_a_network_of_extended_data_learns_and_is_stored(name, disc, extended, tmp_path):
    trained, dataset = extended[name], disc[1]
    errors = trained.metadata["errors"]
    median = fitted(AverageImage, disc).metadata["errors"]
    assert errors["image_l2"] < 0.9 * median["image_l2"]
    assert errors["coverage_90"] == pytest.approx(0.9, abs=0.08)
    std = np.asarray(trained.metadata["noise_std"])
    found = bound_to(trained, disc)(dataset.values[:4], std)
    trained.save(tmp_path / "s")
    again = bound_to(type(trained).load(tmp_path / "s"), disc)(dataset.values[:4], std)
    assert np.array_equal(found.mean, again.mean)
    assert np.array_equal(found.std, again.std)


@pytest.mark.parametrize("name", ["unet", "fourier"])
def test_extended_data_may_be_missing_in_any_part(name, disc, extended):
    trained, dataset = extended[name], disc[1]
    std, rng = np.asarray(trained.metadata["noise_std"]), np.random.default_rng(4)
    truth = dataset.coefficient.reshape(len(dataset.values), -1)
    whole = bound_to(trained, disc)(dataset.values, std).mean
    some = rng.permutation(np.flatnonzero(np.asarray(dataset.sensors["injection"]) < 6))
    few = bound_to(trained, disc, some)(dataset.values[:, some], std[some]).mean
    mean = np.tile(truth.mean(axis=0), (len(truth), 1))
    inside = trained.labels.inside
    off = [np.abs(x - truth)[:, inside].mean() for x in (whole, few, mean)]
    assert off[0] < off[1] < 1.1 * off[2]


def test_a_network_sees_the_sum_of_fields_that_the_problem_says(disc, extended):
    """What the network computes inside is the extension of the departure from the mean."""
    import torch

    trained, dataset = extended["unet"], disc[1]
    reader = trained.rule.reader
    inputs = reader(Seen(dataset.values[:3], np.zeros(3)))
    wanted = reader.extensions(dataset.values[:3] - reader.mean)
    seen = []
    inner = trained.rule.networks[0].inner
    handle = inner.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    trained.rule.networks[0](torch.as_tensor(inputs))
    handle.remove()
    found = seen[0].numpy()
    rms = trained.rule.networks[0].rms.numpy()
    inside = trained.labels.inside.reshape(12, 12)
    assert found[:, :-4] * rms == pytest.approx(wanted.reshape(3, -1, 12, 12) * inside)


def test_attention_of_weights_ignores_what_is_outside_the_body():
    import torch

    from pdeinv.surrogates.common.torch_env import seeded

    inside, rng = np.ones((8, 8)), np.random.default_rng(0)
    inside[:, 5:] = 0.0
    size = UnetSize(3, 8, 1, "fourier", 2)
    module = seeded(0, "attention", 0, lambda: unet(size, inside)).double()
    x, coarse = (torch.as_tensor(rng.standard_normal((2, n, 8, 8))) for n in (8, 16))
    other, weight = x.clone(), torch.as_tensor(inside)[None, None]
    other[..., 5:] += 1.0
    one, two = (module.attend[0](coarse, v, weight) - v for v in (x, other))
    assert torch.allclose(one[..., :5], two[..., :5])
    assert not torch.allclose(one, torch.zeros_like(one))


def test_experiments_left_out_are_left_out_whole(disc, extended):
    reader = extended["unet"].rule.reader
    inputs = np.random.default_rng(0).standard_normal((100, 1 + len(reader.mean)))
    found = reader.bagged(inputs, 0.5, 3)
    table = (found[:, 1:] != 0).reshape(100, reader.extensions.channels, -1)
    assert (table.all(axis=2) | ~table.any(axis=2)).all()
    shown = table.any(axis=2).sum(axis=1)
    assert reader.extensions.channels / 2 <= shown.min()
    assert 0.2 < np.mean(shown < reader.extensions.channels) < 0.6


def test_a_problem_that_extends_no_data_is_refused(darcy):
    with pytest.raises(ConfigError, match="which problem 'darcy' does not offer"):
        chest_unet(InverseUnet, darcy)
