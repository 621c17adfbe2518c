"""Networks on the array of the data: places, lengths, what is learned, refusals."""

import numpy as np
import pytest
from image_sets import bound_to, fitted, made

from pdeinv.errors import Preempted, ShapeError, SurrogateRejected
from pdeinv.plugins.conformance import check_surrogate
from pdeinv.plugins.fitting import FitRun
from pdeinv.surrogates.reconstruction.array_reader import Size, coarse, strides
from pdeinv.surrogates.reconstruction.average import AverageImage
from pdeinv.surrogates.reconstruction.gather import Gather
from pdeinv.surrogates.reconstruction.inverse_deeponet import InverseDeepOnet
from pdeinv.surrogates.reconstruction.inverse_fcnn import InverseFcnn
from pdeinv.surrogates.reconstruction.inversion_net import InversionNet
from pdeinv.surrogates.reconstruction.invertible import (
    InvertibleSize,
    back,
    invertible,
    there,
)
from pdeinv.surrogates.reconstruction.latent_unet import LatentUnet
from pdeinv.surrogates.reconstruction.modes import Seen
from pdeinv.surrogates.reconstruction.x_net import XNet
from pdeinv.surrogates.training.weights import answers

pytestmark = pytest.mark.usefixtures("solves_here")

DARCY = {"cells": [12, 12], "unknown": {"kind": "log-gaussian", "grid": [9, 9], "modes": 6}}
SMALL = {"epochs": 40, "width": 8, "latent": 12, "learning_rate": 4e-3, "batch_size": 16}
KINDS = {
    InverseDeepOnet: {"epochs": 60, "width": 8, "learning_rate": 4e-3, "batch_size": 16},
    InverseFcnn: {"epochs": 40, "width": 8, "learning_rate": 4e-3, "batch_size": 16},
    InversionNet: SMALL,
    LatentUnet: {**SMALL, "latent": 5, "depth": 1},
    XNet: {**SMALL, "latent": 5, "depth": 1, "couplings": 1},
}


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


def sides(n):
    """Places on two sides of a square."""
    t = (np.arange(n) + 0.5) / n
    return np.concatenate([np.zeros(n), t]), np.concatenate([t, np.zeros(n)])


def test_places_that_fill_no_lattice_are_one_axis_behind_the_others():
    (x, y), source, part = sides(4), np.arange(3.0), np.arange(2.0)
    s, k, c = (a.ravel() for a in np.meshgrid(source, np.arange(8), part, indexing="ij"))
    sensors = {"x": x[k], "y": y[k], "source": s, "component": c, "frequency": np.full(48, 2.0)}
    found = Gather.of(sensors, ("x", "y"))
    assert found.shape == (3, 2, 8)
    assert np.array_equal(found.place, np.ravel_multi_index([s.astype(int), c.astype(int), k],
                                                            (3, 2, 8)))  # fmt: skip
    assert Gather.of(sensors).shape == (1, 1, 48)


def test_of_more_than_three_axes_the_first_are_channels_together():
    sensors = product(np.arange(2.0), np.arange(3.0), np.arange(4.0)) | {"d": np.zeros(24)}
    wide = {k: np.concatenate([v, v]) for k, v in sensors.items()}
    wide["d"][24:] = 1.0
    found = Gather.of(wide)
    assert found.shape == (6, 4, 2)
    assert np.array_equal(found.place[:24], 2 * np.arange(24))


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
    assert coarse(shape, most) == (at, times)


@pytest.mark.parametrize("shape", [(9, 9), (33, 5), (2, 2), (70, 70)])
@pytest.mark.parametrize("array", [(5, 70, 100), (1, 1, 30), (1, 1, 1)])
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_latent_images_and_vectors_lead_from_any_array_to_any_image(kind, array, shape):
    import torch

    inside = np.ones(np.prod(shape))
    inside[1] = 0.0
    n = int(np.prod(array))
    size = Size(kind.Config(width=4), Gather(np.arange(n), array), shape, inside)
    module = kind.network(size)
    image = module(torch.randn(2, 1 + n))
    assert image.shape == (2, np.prod(shape))
    assert (image == 0).all(dim=0).tolist() == [k == 1 for k in range(len(inside))]


# --- the parts ---------------------------------------------------------------------------------


def of_size(kind, **options):
    return Size(kind.Config(**options), Gather(np.arange(24), (2, 3, 4)), (7, 5), np.ones(35))


def test_images_of_a_deeponet_are_sums_of_its_trunk_functions():
    import torch

    module = InverseDeepOnet.network(of_size(InverseDeepOnet, width=8, basis=3, widths=(16,)))
    images = module(torch.randn(12, 25)).detach().numpy()
    assert np.linalg.matrix_rank(images, tol=1e-5 * np.linalg.norm(images)) == 3


def test_a_convolutional_network_has_no_dense_layer():
    import torch

    parts = InverseFcnn.parts(of_size(InverseFcnn, width=4))
    assert parts["encoder"](torch.randn(2, 3, 3, 4)).shape == (2, 32, 1, 1)
    layers = [m for part in parts.values() for m in part.modules()]
    assert not any(isinstance(m, torch.nn.Linear) for m in layers)


@pytest.mark.parametrize(("channels", "depth", "at"), [(2, 1, (2, 2)), (6, 2, (8, 12))])
def test_what_translates_latent_images_is_undone(channels, depth, at):
    import torch

    module = invertible(InvertibleSize(channels, depth, 2)).double()
    with torch.no_grad():
        for weights in module.parameters():
            weights.add_(0.3 * torch.randn_like(weights))
    z = torch.randn(3, channels, *at, dtype=torch.float64)
    moved = there(module, z)
    assert moved.shape == z.shape
    assert float((moved - z).detach().abs().max()) > 0.1
    assert torch.allclose(back(module, moved), z, atol=1e-9)
    assert torch.allclose(there(module, back(module, z)), z, atol=1e-9)


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


def test_members_differ_and_their_mean_is_the_image(darcy, tmp_path):
    two = fitted(InverseFcnn, darcy, **{**KINDS[InverseFcnn], "epochs": 2, "members": 2})
    assert two.metadata["extra"]["epochs"] == [2, 2]
    inputs = two.rule.reader(Seen(darcy[1].values[:3], np.zeros(3)))
    a, b = (answers(one, inputs, 8) for one in two.rule.networks)
    assert np.abs(a - b).max() > 1e-3
    scale = two.rule.scale
    found = two.rule(Seen(darcy[1].values[:3], np.zeros(3))).mean
    assert found == pytest.approx(scale.mean + scale.size * (a + b) / 2, rel=1e-9)
    two.save(tmp_path / "s")
    assert np.array_equal(InverseFcnn.load(tmp_path / "s").factor, two.factor)


# --- both ways ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both_ways(darcy):
    return fitted(XNet, darcy, **KINDS[XNet])


def test_data_are_predicted_from_images(darcy, both_ways, tmp_path):
    dataset, errors = darcy[1], both_ways.metadata["errors"]
    assert errors["forward_relative_l2"] < 0.7
    images = dataset.coefficient[:5].reshape(5, -1)
    said = both_ways.predicted(images)
    departure = dataset.values[:5] - dataset.values.mean(axis=0)
    assert np.linalg.norm(said - dataset.values[:5]) < 0.8 * np.linalg.norm(departure)
    both_ways.save(tmp_path / "s")
    assert np.array_equal(XNet.load(tmp_path / "s").predicted(images), said)
    assert both_ways.predicted(images[0])[0] == pytest.approx(said[0], rel=1e-9)
    with pytest.raises(ShapeError, match="expected images of 81 nodes, got the shape"):
        both_ways.predicted(images[:, 1:])


def test_data_are_not_predicted_where_their_error_does_not_count(darcy):
    alone = fitted(XNet, darcy, **{**KINDS[XNet], "epochs": 3, "forward": 0.0})
    assert alone.metadata["errors"]["forward_relative_l2"] > 0.9


def stopping(n, folder, resume=False):
    seen = []
    stop = {"progress": lambda *_: seen.append(1), "should_stop": lambda: len(seen) >= n}
    return FitRun(folder=folder, resume=resume, **(stop if n else {}))


def test_a_training_of_both_ways_that_was_stopped_goes_on_to_the_same_bits(darcy, tmp_path):
    problem, dataset = darcy
    config = XNet.Config(**{**KINDS[XNet], "epochs": 4})
    whole = XNet.fit(dataset, problem, config, 1)
    with pytest.raises(Preempted):
        XNet.fit(dataset, problem, config, 1, stopping(2, tmp_path / "run"))
    again = XNet.fit(dataset, problem, config, 1, stopping(0, tmp_path / "run", resume=True))
    assert all(np.array_equal(v, again.arrays()[k]) for k, v in whole.arrays().items())


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_it_keeps_the_protocol(kind, darcy):
    problem, dataset = darcy
    few = {**KINDS[kind], "epochs": 2}
    check_surrogate(kind.name, few, problem=problem, dataset=dataset).raise_for_failures()
