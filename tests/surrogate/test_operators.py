"""Operators beyond the plain one: factorised, U-shaped, masked, in time, and branch with trunk."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.errors import ConfigError, SurrogateRejected
from pdeinv.io import datasets
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.surrogates.deeponet.operator import Deeponet, DeeponetConfig
from pdeinv.surrogates.operators.fno import Fno, FnoConfig
from pdeinv.surrogates.operators.network import Architecture, build
from pdeinv.surrogates.operators.places import known
from pdeinv.surrogates.operators.tfno import Tfno, TfnoConfig
from pdeinv.surrogates.operators.uno import Uno, UnoConfig

pytestmark = pytest.mark.usefixtures("solves_here")

CONFIG = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.5}}
SMALL = {"epochs": 20, "width": 10, "modes": 6, "learning_rate": 1e-2}


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
def fresh(problem):
    xi = np.random.default_rng(8).standard_normal((30, 4))
    reference = problem.forward_model(problem.sensors("grid:5x4"))
    return xi, np.stack([reference(m) for m in problem.prior().unwhiten(xi)])


def error(found, true):
    return float(np.mean(np.linalg.norm(found - true, axis=1) / np.linalg.norm(true, axis=1)))


def bound(surrogate, problem, spec="grid:5x4", **how):
    return surrogate.bind(problem, problem.prior(), problem.sensors(spec), **how)


def test_factors_hold_a_share_of_the_parameters():
    def count(kind, rank):
        module = build(Architecture((8, 8), 16, 2, 0.25, kind, rank), np.ones((9, 9)))
        return sum(p.numel() for n, p in module.named_parameters() if "convs" in n)

    assert count("tfno", 0.1) < 0.2 * count("fno", 1.0)


@pytest.mark.parametrize(
    ("cls", "config"),
    [(Tfno, TfnoConfig(**SMALL, rank=0.3)), (Uno, UnoConfig(**SMALL, layers=4))],
)
def test_learns_darcy_and_carries_over_to_finer_grids(cls, config, problem, dataset, fresh):
    trained = cls.fit(dataset, problem, config, 1)
    xi, true = fresh
    coarse = error(bound(trained, problem)(xi), true)
    assert coarse < 0.1
    assert error(bound(trained, problem, shape=(17, 17))(xi), true) < 2 * coarse + 0.05
    rng = np.random.default_rng(3)
    model = bound(trained, problem)
    assert dot_product_test(model, xi[0], rng) < 1e-11
    assert 1.9 < taylor_test(model, 0.3 * xi[0], rng).slope < 2.1


def masked(dataset):
    """The same with no field outside the disc in the square, as on a disc-shaped domain."""
    y, x = np.meshgrid(*dataset.axes.values(), indexing="ij")
    outside = (x - 0.5) ** 2 + (y - 0.5) ** 2 > 0.5**2 + 1e-9
    field, coefficient = dataset.field.copy(), dataset.coefficient.copy()
    field[:, outside], coefficient[:, outside] = np.nan, np.nan
    return replace(dataset, field=field, coefficient=coefficient), outside


def test_nodes_outside_the_domain_count_in_no_loss(problem, dataset, fresh, tmp_path):
    disc, outside = masked(dataset)
    trained = Fno.fit(disc, problem, FnoConfig(**SMALL), 1)
    assert trained.metadata["extra"]["nodes_outside"] == outside.sum() == 32
    assert trained.metadata["errors"]["field_relative_l2"] < 0.1
    trained.save(tmp_path / "s")
    again = load_surrogate(tmp_path / "s")
    xi, _ = fresh
    places = {"x": np.array([0.5, 0.6]), "y": np.array([0.5, 0.4])}
    reference = problem.forward_model(places)
    true = np.stack([reference(m) for m in problem.prior().unwhiten(xi)])
    for surrogate in (trained, again):
        model = surrogate.bind(problem, problem.prior(), places)
        assert error(model(xi), true) < 0.1
    # what lies outside reaches nothing: any number there gives the same network
    wild = disc.coefficient.copy()
    wild[:, outside] = 7.0
    other = Fno.fit(replace(disc, coefficient=wild), problem, FnoConfig(**SMALL), 1)
    for name, weight in trained.weights.items():
        np.testing.assert_array_equal(other.weights[name], weight)


def in_time(dataset, times):
    """A data set whose field is u(x) exp(-t), at every sensor at two times."""
    field = np.exp(-times)[:, None, None] * dataset.field[:, None]
    at = np.repeat([0.25, 1.0], 9)
    sensors = {c: np.tile(v, 2) for c, v in dataset.sensors.items()} | {"t": at}
    values = np.tile(dataset.values, 2) * np.exp(-at)
    return replace(dataset, field=field, sensors=sensors, values=values, experiments={"t": times})


def test_a_whole_trajectory_is_one_output(problem, dataset, fresh):
    timed = in_time(dataset, np.linspace(0, 1, 5))
    trained = Fno.fit(timed, problem, FnoConfig(**SMALL), 1)
    assert trained.scaling.mean.shape == (5, 9, 9)
    assert trained.metadata["errors"]["relative_l2"] < 0.1
    xi, true = fresh
    where = problem.sensors("grid:5x4")
    late = trained.bind(problem, problem.prior(), {**where, "t": np.full(20, 0.75)})
    assert error(late(xi), np.exp(-0.75) * true) < 0.1
    # between two stored times the field is interpolated linearly
    between = trained.bind(problem, problem.prior(), {**where, "t": np.full(20, 0.875)})
    assert error(between(xi), np.exp(-0.875) * true) < 0.12
    rng = np.random.default_rng(3)
    assert dot_product_test(late, xi[0], rng) < 1e-11
    with pytest.raises(SurrogateRejected, match=r"t from 0 to 1.*t = 1\.5"):
        trained.bind(problem, problem.prior(), {**where, "t": np.full(20, 1.5)})
    with pytest.raises(SurrogateRejected, match=r"coordinates t, x, y, this run has x, y"):
        bound(trained, problem)


DEEP = {"epochs": 120, "widths": [48, 48], "basis": 24}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"trunk": "pod", "batch_size": 32},
        {"branch": "coefficient", "branch_grid": [4, 4]},
    ],
)
def test_deeponet_learns_and_predicts_anywhere(problem, dataset, fresh, more, tmp_path):
    trained = Deeponet.fit(dataset, problem, DeeponetConfig(**DEEP, **more), 1)
    xi, true = fresh
    model = bound(trained, problem)
    at_trained = trained.metadata["errors"]["relative_l2"]
    assert at_trained < 0.16
    assert error(model(xi), true) < 2 * at_trained + 0.03
    rng = np.random.default_rng(3)
    assert dot_product_test(model, xi[0], rng) < 1e-11
    assert 1.9 < taylor_test(model, 0.3 * xi[0], rng).slope < 2.1
    trained.save(tmp_path / "s")
    np.testing.assert_array_equal(bound(load_surrogate(tmp_path / "s"), problem)(xi), model(xi))


def test_deeponet_trained_on_a_coarse_grid_holds_on_a_finer_one(problem, dataset):
    """Trained on 9 x 9 nodes, the error on 17 x 17 is at most twice that on 9 x 9."""
    trained = Deeponet.fit(dataset, problem, DeeponetConfig(**DEEP), 1)
    xi = np.random.default_rng(12).standard_normal((20, 4))

    def on(shape):
        nodes = problem.grid(shape)
        reference = problem.forward_model(nodes, 1)
        true = np.stack([reference(m) for m in problem.prior().unwhiten(xi)])
        return error(trained.bind(problem, problem.prior(), nodes)(xi), true)

    assert on((17, 17)) < 2 * on((9, 9))


def test_deeponet_refusals(problem, dataset):
    config = DeeponetConfig(**{**DEEP, "epochs": 1})
    trained = Deeponet.fit(dataset, problem, config, 1)
    prior = problem.prior()
    with pytest.raises(SurrogateRejected, match=r"1 of 2 sensors lie outside the box.*x = 1\.2"):
        trained.bind(problem, prior, {"x": np.array([0.1, 1.2]), "y": np.array([0.5, 0.5])})
    with pytest.raises(SurrogateRejected, match=r"coordinates x, y, this run has x, z"):
        trained.bind(problem, prior, {"x": np.zeros(1), "z": np.zeros(1)})
    bare = replace(dataset, coefficient=None, field=None, axes={})
    with pytest.raises(ConfigError, match=r"trunk = \"pod\" needs the field on a plane grid"):
        Deeponet.fit(bare, problem, config.model_copy(update={"trunk": "pod"}), 1)
    # without a grid it learns from the sensors
    assert Deeponet.fit(bare, problem, config, 1).metadata["errors"]["relative_l2"] > 0


WAVES = {
    "cells": 6,
    "wavenumbers": [4.0],
    "incident": {"kind": "plane", "count": 3},
    "unknown": {"kind": "gaussian", "std": 0.3, "length": 0.4, "modes": 3},
}


def test_deeponet_keeps_sources_apart(tmp_path):
    """Sources and components are labels: nothing is read between them, and others are refused."""
    problem = make_problem("helmholtz", WAVES)
    sensors = problem.sensors("ring:6")
    generate(Plan("helmholtz", WAVES, sensors, 100, 2), tmp_path / "data.nc", tmp_path / "run")
    dataset = datasets.read(tmp_path / "data.nc")
    config = DeeponetConfig(**{**DEEP, "epochs": 300})
    trained = Deeponet.fit(dataset, problem, config, 1)
    assert trained.metadata["errors"]["relative_l2"] < 0.15
    trained.save(tmp_path / "s")
    again = load_surrogate(tmp_path / "s").bind(problem, problem.prior(), sensors)
    model = trained.bind(problem, problem.prior(), sensors)
    np.testing.assert_array_equal(again(dataset.xi[:3]), model(dataset.xi[:3]))
    other = {**sensors, "source": sensors["source"] + 0.5}
    with pytest.raises(SurrogateRejected, match=r"trained for source 0, 1, 2, this run has 0\.5"):
        trained.bind(problem, problem.prior(), other)


def test_deeponet_learns_at_no_more_places_than_asked(problem, dataset):
    places, values = known(dataset, 40, np.random.default_rng(1))
    assert {len(v) for v in places.values()} == {40}
    reference = problem.forward_model(places)
    true = reference(problem.prior().unwhiten(dataset.xi[3]))
    np.testing.assert_allclose(values[3], true, rtol=1e-6)


def test_a_data_set_that_stays_in_its_file_gives_the_same_network(dataset, problem, tmp_path):
    plan = Plan("darcy", CONFIG, problem.sensors("grid:3x3"), 40, 4, grid=(9, 9))
    generate(plan, tmp_path / "data.nc", tmp_path / "run")
    eager, lazy = (datasets.read(tmp_path / "data.nc", size) for size in (1 << 29, 0))
    assert isinstance(eager.field, np.ndarray)
    assert not isinstance(lazy.field, np.ndarray)
    config = FnoConfig(**{**SMALL, "epochs": 2})
    one, two = (Fno.fit(data, problem, config, 1) for data in (eager, lazy))
    for name, weight in one.weights.items():
        np.testing.assert_array_equal(two.weights[name], weight)
    assert one.metadata["errors"] == two.metadata["errors"]


FAR = {
    "cells": 4,
    "element": "P2",
    "wavenumbers": [2.0],
    "measure": "far-field",
    "unknown": {"kind": "gaussian", "std": 0.3, "length": 0.4, "modes": 3},
}


def test_data_that_are_no_values_at_places_are_read_off_the_fields(tmp_path):
    """A far-field pattern has no place on the grid: the coefficient's fields are mapped to it."""
    far = make_problem("helmholtz", FAR)
    plan = Plan("helmholtz", FAR, far.sensors("ring:6"), 80, 2)
    generate(plan, tmp_path / "data.nc", tmp_path / "run")
    data = datasets.read(tmp_path / "data.nc")
    config = FnoConfig(**{**SMALL, "epochs": 30}, grid=12)
    trained = Fno.fit(data, far, config, 1)
    spread = np.linalg.norm(data.values - data.values.mean(0)) / np.linalg.norm(data.values)
    assert trained.metadata["errors"]["relative_l2"] < 0.5 * spread
    trained.save(tmp_path / "s")
    places = (far, far.prior(), data.sensors)
    model, again = trained.bind(*places), load_surrogate(tmp_path / "s").bind(*places)
    rng = np.random.default_rng(3)
    xi = 0.3 * rng.standard_normal(far.prior().dim)
    np.testing.assert_array_equal(model(xi), again(xi))
    assert dot_product_test(model, xi, rng) < 1e-10
    assert 1.9 < taylor_test(model, xi, rng).slope < 2.1
    finer = trained.bind(*places, shape=(24, 24))
    assert np.linalg.norm(finer(xi) - model(xi)) < 0.5 * np.linalg.norm(model(xi))


def test_receivers_around_the_region_of_the_unknown_are_read_off_too(tmp_path):
    near = {**FAR, "measure": "field", "region": [0.3, 0.7, 0.3, 0.7]}
    problem = make_problem("helmholtz", near)
    plan = Plan("helmholtz", near, problem.sensors("ring:4:0.45"), 24, 2, grid=(9, 9))
    generate(plan, tmp_path / "data.nc", tmp_path / "run")
    config = FnoConfig(**{**SMALL, "epochs": 1}, grid=8)
    trained = Fno.fit(datasets.read(tmp_path / "data.nc"), problem, config, 1)
    assert trained.pod is not None
