"""Networks on the array of the data: places, lengths, what is learned, refusals."""

import numpy as np
import pytest
from image_sets import bound_to, fitted, made

from pdeinv.errors import SurrogateRejected
from pdeinv.plugins.conformance import check_surrogate
from pdeinv.surrogates.reconstruction.array_reader import Size, network, strides
from pdeinv.surrogates.reconstruction.average import AverageImage
from pdeinv.surrogates.reconstruction.gather import Gather
from pdeinv.surrogates.reconstruction.inversion_net import InversionNet
from pdeinv.surrogates.reconstruction.latent_unet import LatentUnet, latent_shape

pytestmark = pytest.mark.usefixtures("solves_here")

DARCY = {"cells": [12, 12], "unknown": {"kind": "log-gaussian", "grid": [9, 9], "modes": 6}}
SMALL = {"epochs": 40, "width": 8, "latent": 12, "learning_rate": 4e-3, "batch_size": 16}
KINDS = {InversionNet: SMALL, LatentUnet: {**SMALL, "latent": 5, "depth": 1}}


def product(*axes):
    found = np.meshgrid(*axes, indexing="ij")
    return {name: a.ravel() for name, a in zip("abc", found, strict=False)}


# --- the array ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axes", "shape"), [((2, 3, 5), (2, 3, 5)), ((3, 5), (1, 3, 5)), ((4,), (1, 1, 4))]
)
def test_each_coordinate_is_an_axis(axes, shape):
    sensors = product(*(np.linspace(0, 1, n) for n in axes))
    found = Gather.of({**sensors, "same": np.ones(np.prod(axes))})
    assert found.shape == shape
    assert np.array_equal(found.place, np.arange(np.prod(axes)))


def test_data_in_another_order_stand_in_their_places_and_missing_ones_leave_holes():
    sensors, rng = product(np.arange(3.0), np.arange(4.0), np.arange(5.0)), np.random.default_rng(0)
    some = rng.permutation(60)[:50]
    found = Gather.of({k: v[some] for k, v in sensors.items()})
    assert found.shape == (3, 4, 5)
    assert np.array_equal(found.place, some)


def test_scattered_places_and_repeated_data_are_a_row():
    rng = np.random.default_rng(0)
    assert Gather.of({"x": rng.random(30), "y": rng.random(30)}).shape == (1, 1, 30)
    assert Gather.of({"x": np.array([0.0, 1.0, 1.0])}).shape == (1, 1, 3)
    assert Gather.of({"x": np.zeros(1)}).shape == (1, 1, 1)


def test_long_records_are_narrowed_in_time_first():
    assert strides(35, 100, 5)[0] == (1, 2)
    assert strides(64, 64, 5) == [(2, 2)] * 4
    assert strides(64, 64, 20) == [(2, 2)] * 2
    assert strides(5, 3, 5) == []


@pytest.mark.parametrize(
    ("shape", "most", "at", "times"),
    [((32, 32), 20, (16, 16), 1), ((70, 70), 20, (18, 18), 2), ((9, 7), 9, (9, 7), 0),
     ((33, 5), 8, (5, 1), 3)],
)  # fmt: skip
def test_latent_images_are_the_body_halved(shape, most, at, times):
    assert latent_shape(shape, most) == (at, times)


@pytest.mark.parametrize("shape", [(9, 9), (33, 5), (2, 2), (70, 70)])
@pytest.mark.parametrize("array", [(5, 70, 100), (1, 1, 30), (1, 1, 1)])
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_latent_images_and_vectors_lead_from_any_array_to_any_image(kind, array, shape):
    import torch

    inside = np.ones(np.prod(shape))
    inside[1] = 0.0
    n = int(np.prod(array))
    size = Size(kind.Config(width=4), Gather(np.arange(n), array), shape, inside)
    module = network(size, kind.parts(size))
    image = module(torch.randn(2, 1 + n))
    assert image.shape == (2, np.prod(shape))
    assert (image == 0).all(dim=0).tolist() == [k == 1 for k in range(len(inside))]


# --- learning ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def darcy(tmp_path_factory):
    return made("darcy", DARCY, "grid:5x5", 300, tmp_path_factory.mktemp("darcy"))


@pytest.fixture(scope="module", params=KINDS, ids=lambda k: k.name)
def trained(request, darcy):
    return fitted(request.param, darcy, **KINDS[request.param])


def test_an_image_is_read_off_the_data(darcy, trained):
    mean = fitted(AverageImage, darcy, statistic="mean").metadata["errors"]["image_l2"]
    assert trained.metadata["errors"]["image_l2"] < 0.85 * mean
    assert trained.metadata["extra"]["array"] == [1, 5, 5]


def test_what_is_stored_gives_the_same_bits_and_no_image_depends_on_those_beside_it(
    darcy, trained, tmp_path
):
    data, std = darcy[1].values[:4], np.asarray(trained.metadata["noise_std"])
    found = bound_to(trained, darcy)(data, std)
    trained.save(tmp_path / "s")
    again = bound_to(type(trained).load(tmp_path / "s"), darcy)(data, std)
    assert np.array_equal(found.mean, again.mean)
    alone = bound_to(trained, darcy)(data[:1], std)
    assert alone.mean[0] == pytest.approx(found.mean[0], rel=1e-9)


def test_the_order_of_the_data_does_not_matter(darcy, trained):
    data, std = darcy[1].values[:3], np.asarray(trained.metadata["noise_std"])
    turned = np.random.default_rng(0).permutation(data.shape[1])
    found = bound_to(trained, darcy, turned)(data[:, turned], std[turned])
    assert found.mean == pytest.approx(bound_to(trained, darcy)(data, std).mean, rel=1e-12)


def test_a_part_of_the_data_is_refused(darcy, trained):
    with pytest.raises(SurrogateRejected, match=r"reads all 25 data .*, got 24 of them"):
        bound_to(trained, darcy, slice(24))


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_it_keeps_the_protocol(kind, darcy):
    problem, dataset = darcy
    few = {**KINDS[kind], "epochs": 2}
    check_surrogate(kind.name, few, problem=problem, dataset=dataset).raise_for_failures()
