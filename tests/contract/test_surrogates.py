"""Every registered surrogate against every clause of its protocol, on one small Darcy data set.

Operators that step in time stand before the same clauses, on a small data set of heat.
"""

import pickle
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.errors import CapabilityError, DataSchemaError, SurrogateRejected
from pdeinv.io import datasets
from pdeinv.jobs.common.recipe import load_surrogate, make_problem
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.model.forward import Capability
from pdeinv.model.learned import Role
from pdeinv.plugins import registry
from pdeinv.plugins.surrogate import role_of

pytestmark = pytest.mark.usefixtures("solves_here")


def darcy(std):
    return {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": std}}


def heat(std):
    prior = {"kind": "piecewise", "cells": [2, 2], "mean": -3.0, "std": std}
    unknown = {"kind": "conductivity", "prior": prior}
    return {"cells": 8, "source": 1.0, "time": {"steps": 8}, "unknown": unknown}


# configuration, sensors, others, samples, times on the grid
CASES = {
    "darcy": (darcy, "grid:3x3", "grid:4x4", 150, ()),
    "heat": (heat, "grid:3x3@0.25:1:4", "grid:4x4@0.3:0.9:2", 60, (0.0, 0.25, 0.5, 0.75, 1.0)),
}

SMALL = {
    "epochs": 16, "iterations": 40, "members": 2, "widths": (48, 48), "basis": 24, "width": 8,
    "layers": 4, "modes": 8,
}  # fmt: skip
"""Whatever of these a surrogate's options know makes its training one of seconds."""
OVERRIDES = {
    "latent": {"epochs": 300},
    "deeponet": {"epochs": 150},
    "ensemble": {"options": {"epochs": 200, "widths": [48, 48]}},
    "tfno": {"rank": 0.3},
    "fno+steps": {
        "time": "steps", "epochs": 10, "batch_size": 8, "layers": 2, "modes": 6,
        "learning_rate": 2e-2,
    },
}  # fmt: skip
"""What some of ours need besides to err as little as they can; and variants of them."""
LARGEST = {"latent": 0.08, "gp": 0.03, "multifidelity": 0.01, "deeponet": 0.1, "ensemble": 0.08}
"""Held-out relative error that is allowed; 0.2 where nothing is said."""


ANYWHERE = {"fno", "tfno", "uno", "deeponet"}
"""These predict at sensors that they were not trained at."""


def ours():
    """Our own forward models by name, variants too; what other packages register is theirs."""
    found = entry_points(group="pdeinv.surrogates")
    names = [e.name for e in found if e.dist is not None and e.dist.name == "pdeinv"]
    forward = [n for n in names if registry.load("surrogates", n).role == Role.FORWARD]
    return sorted(
        [*forward, *(n for n in OVERRIDES if n.partition("+")[0] in forward and "+" in n)]
    )


def quick(entry):
    """Class and small configuration of a surrogate or variant."""
    cls = registry.load("surrogates", entry.partition("+")[0])
    known = {k: v for k, v in SMALL.items() if k in cls.Config.model_fields}
    return cls, cls.Config(**{**known, **OVERRIDES.get(entry, {})})


def test_a_surrogate_of_another_package_is_not_ours(monkeypatch):
    entry = EntryPoint("toy", "collections:OrderedDict", "pdeinv.surrogates")
    monkeypatch.setattr(registry, "entry_points", lambda **_: [entry])
    assert registry.names("surrogates") == ["toy"]
    monkeypatch.setitem(globals(), "entry_points", lambda **_: [entry])
    assert ours() == []


@pytest.fixture(scope="module")
def datasets_of(tmp_path_factory):
    """The data set of a case, made once."""

    @cache
    def made(name):
        config, spec, _, n, times = CASES[name]
        problem, folder = make_problem(name, config(0.5)), tmp_path_factory.mktemp("data")
        plan = Plan(name, config(0.5), problem.sensors(spec), n, 4, grid=(9, 9), times=times)
        generate(plan, folder / "data.nc", folder / "run")
        return datasets.read(folder / "data.nc")

    return made


@pytest.fixture(scope="module", params=ours())
def entry(request):
    """Name of the surrogate, and of its case."""
    return request.param, "heat" if "+steps" in request.param else "darcy"


@pytest.fixture(scope="module")
def problem(entry):
    return make_problem(entry[1], CASES[entry[1]][0](0.5))


@pytest.fixture(scope="module")
def dataset(entry, datasets_of):
    return datasets_of(entry[1])


@pytest.fixture(scope="module")
def trained(entry, problem, dataset):
    cls, config = quick(entry[0])
    return cls.fit(dataset, problem, config, 1), LARGEST.get(entry[0], 0.2)


def bound(surrogate, problem, spec=None):
    spec = spec or CASES[problem.name][1]
    return surrogate.bind(problem, problem.prior(), problem.sensors(spec))


def test_heldout_error_is_small_and_recorded(trained):
    surrogate, allowed = trained
    errors = surrogate.metadata["errors"]
    assert 0 < errors["relative_l2"] < allowed
    assert errors["rms_over_sigma"] > 0


def test_recorded_error_is_that_of_fresh_draws(trained, problem):
    """No leakage: samples that training never saw show an error of the recorded size."""
    surrogate, _ = trained
    xi = np.random.default_rng(8).standard_normal((40, 4))
    reference = problem.forward_model(problem.sensors(CASES[problem.name][1]))
    true = np.stack([reference(m) for m in problem.prior().unwhiten(xi)])
    found = bound(surrogate, problem)(xi)
    error = np.mean(np.linalg.norm(found - true, axis=1) / np.linalg.norm(true, axis=1))
    assert error < 4 * surrogate.metadata["errors"]["relative_l2"]


def test_bound_model_is_a_surrogate_on_xi_with_derivatives(trained, problem):
    model = bound(trained[0], problem)
    assert model.kind == "surrogate"
    assert model.m_space.size == 4
    assert {Capability.BATCH, Capability.JVP, Capability.VJP} <= model.capabilities
    rng = np.random.default_rng(3)
    xi = 0.3 * rng.standard_normal(4)
    assert dot_product_test(model, xi, rng) < 1e-8
    assert taylor_test(model, xi, rng).slope > 1.9


def test_batches_equal_single_evaluations(trained, problem):
    model = bound(trained[0], problem)
    xi = np.random.default_rng(5).standard_normal((3, 4))
    np.testing.assert_allclose(model(xi), np.stack([model(x) for x in xi]), rtol=1e-9)


def test_saved_and_loaded_gives_the_same_numbers(trained, problem, tmp_path):
    trained[0].save(tmp_path / "s")
    again = load_surrogate(tmp_path / "s")
    xi = np.random.default_rng(5).standard_normal((3, 4))
    np.testing.assert_array_equal(bound(again, problem)(xi), bound(trained[0], problem)(xi))
    assert again.metadata == trained[0].metadata


class _Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemError('a pickle was opened')",))


def test_a_planted_pickle_is_never_opened(trained, problem, tmp_path):
    trained[0].save(tmp_path / "s")
    for name in ("weights.pkl", "weights.pt", "model.bin", "weights.npy"):
        (tmp_path / "s" / name).write_bytes(pickle.dumps(_Bomb()))
    bound(load_surrogate(tmp_path / "s"), problem)(np.zeros(4))


def test_weights_replaced_by_a_pickle_are_refused(trained, tmp_path):
    trained[0].save(tmp_path / "s")
    weights = sorted(Path(tmp_path / "s").rglob("*.safetensors"))[0]
    weights.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(DataSchemaError, match=r"safetensors.*train again"):
        load_surrogate(tmp_path / "s")


def test_another_problem_is_refused(trained, problem):
    other = make_problem(problem.name, CASES[problem.name][0](0.6))
    with pytest.raises(SurrogateRejected, match=r"unknown\.(prior\.)?std = 0\.5.*0\.6"):
        bound(trained[0], other)


def test_sensors_outside_the_trained_ones_are_refused_or_predicted(trained, problem):
    others = CASES[problem.name][2]
    said = ""
    try:
        found = bound(trained[0], problem, others)(np.zeros(4))
    except SurrogateRejected as error:
        found, said = np.zeros(1), str(error)
    assert np.isfinite(found).all()
    assert not said or "sensors are not among" in said
    assert not said or trained[0].name not in ANYWHERE


def test_fitting_again_gives_the_same_bits(entry, trained, problem, dataset):
    surrogate, (cls, config) = trained[0], quick(entry[0])
    if "epochs" in config.model_fields_set and surrogate.name != "latent":
        config = config.model_copy(update={"epochs": 2})
        surrogate = cls.fit(dataset, problem, config, 1)
    again = cls.fit(dataset, problem, config, 1)
    xi = np.random.default_rng(5).standard_normal((2, 4))
    np.testing.assert_array_equal(bound(again, problem)(xi), bound(surrogate, problem)(xi))


def test_what_it_needs_is_stated_by_the_protocol(entry):
    cls, config = quick(entry[0])
    assert role_of(cls) == cls.role
    assert isinstance(cls.learns_fields, bool)
    assert isinstance(cls.shares_work(config), bool)
    options = config.model_dump()
    assert cls.needs(options, training=False) <= cls.needs(options, training=True)
    if not cls.learns_pairs:
        with pytest.raises(CapabilityError, match=f"'{cls.name}' does not learn from a few pairs"):
            cls.from_pairs(None, None, config, 1)
