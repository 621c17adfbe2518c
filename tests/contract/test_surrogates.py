"""Every registered surrogate against every clause of its protocol, on one small Darcy data set.

Operators that step in time stand before the same clauses, on a small data set of heat.
"""

from functools import cache
from importlib.metadata import EntryPoint

import numpy as np
import ours as distribution
import pytest

from pdeinv.errors import SurrogateRejected
from pdeinv.io import datasets
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.model.learned import Role
from pdeinv.plugins import registry
from pdeinv.plugins.conformance import check_surrogate
from pdeinv.plugins.recipe import make_problem

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
LARGEST = {
    **{"latent": 0.08, "gp": 0.03, "multifidelity": 0.01, "ensemble": 0.08},
    **{"deeponet": 0.16, "fno+steps": 0.35},
}
"""Held-out relative error that is allowed; 0.2 where nothing is said."""


ANYWHERE = {"fno", "tfno", "uno", "deeponet"}
"""These predict at sensors that they were not trained at."""


def ours():
    """Our own forward models by name, variants too; what other packages register is theirs."""
    names = distribution.ours("surrogates")
    forward = [n for n in names if registry.load("surrogates", n).role == Role.FORWARD]
    return sorted(
        [*forward, *(n for n in OVERRIDES if n.partition("+")[0] in forward and "+" in n)]
    )


def quick(entry):
    """Class and small configuration of a surrogate or variant."""
    cls = registry.load("surrogates", entry.partition("+")[0])
    known = {k: v for k, v in SMALL.items() if k in cls.Config.model_fields}
    return cls, cls.Config(**{**known, **OVERRIDES.get(entry, {})})


def hasty(entry):
    """The same with the fewest epochs."""
    cls, config = quick(entry)
    if "epochs" in config.model_fields_set and cls.name != "latent":
        return cls, config.model_copy(update={"epochs": 2})
    return cls, config


def test_a_surrogate_of_another_package_is_not_ours(monkeypatch):
    entry = EntryPoint("toy", "collections:OrderedDict", "pdeinv.surrogates")
    monkeypatch.setattr(registry, "entry_points", lambda **_: [entry])
    assert registry.names("surrogates") == ["toy"]
    monkeypatch.setattr(distribution, "entry_points", lambda **_: [entry])
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
    """One that need not be good."""
    cls, config = hasty(entry[0])
    return cls.fit(dataset, problem, config, 1)


def bound(surrogate, problem, spec=None):
    spec = spec or CASES[problem.name][1]
    return surrogate.bind(problem, problem.prior(), problem.sensors(spec))


def test_a_surrogate_keeps_its_protocol(entry, problem, dataset):
    """All clauses of the kit; fitting again stands below, with fewer epochs."""
    cls, config = quick(entry[0])
    allowed = LARGEST.get(entry[0], 0.2)
    report = check_surrogate(
        cls.name, config, problem=problem, dataset=dataset, allowed=allowed, without=("again",)
    )
    report.raise_for_failures()


def test_only_operators_predict_at_sensors_that_they_were_not_trained_at(trained, problem):
    others, said = CASES[problem.name][2], ""
    try:
        found = bound(trained, problem, others)(np.zeros(4))
    except SurrogateRejected as error:
        found, said = np.zeros(1), str(error)
    assert np.isfinite(found).all()
    assert not said or "sensors are not among" in said
    assert not said or trained.name not in ANYWHERE


def test_another_problem_is_named_by_the_key_that_differs(trained, problem):
    other = make_problem(problem.name, CASES[problem.name][0](0.6))
    with pytest.raises(SurrogateRejected, match=r"unknown\.(prior\.)?std = 0\.5.*0\.6"):
        bound(trained, other)


def test_fitting_again_gives_the_same_bits(entry, trained, problem, dataset):
    cls, config = hasty(entry[0])
    again = cls.fit(dataset, problem, config, 1)
    xi = np.random.default_rng(5).standard_normal((2, 4))
    np.testing.assert_array_equal(bound(again, problem)(xi), bound(trained, problem)(xi))
