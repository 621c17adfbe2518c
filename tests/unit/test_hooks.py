"""What a problem may offer besides its protocol: each hook is asked, and each has a default."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp
import xarray as xr

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.plugins import hooks
from pdeinv.plugins.problem import Metric

ROOT = Path(__file__).parents[2]
POINTS = np.array([[0.2, 0.1], [0.9, 0.4], [0.5, 0.5]])
EMPTY = xr.Dataset()
SCORE = Metric("none", np.dot)


class Bare:
    """No hook at all."""

    default_sensors = "here"

    def sensors(self, spec):
        return {"x": spec}

    def forward_model(self, sensors, level):
        raise ConfigError(f"no model of {sensors['x']} on {level}")

    def grid_operator(self, shape):
        return 2.0 * sp.eye(shape[0] * shape[1])


class Full(Bare):
    """All of them."""

    importers = {"csv": "an importer"}
    metrics = {"none": SCORE}

    @classmethod
    def tables_of(cls, dataset):
        return {"cells": dataset.sizes.get("x", 3)}

    def mask(self, points):
        return points[:, 0] < 0.6

    def on_grid(self, m, shape):
        return m**2

    def phantom(self, name, rng):
        return np.full(2, float(name))

    def annotated(self, dataset):
        return dataset.assign_attrs(seen=1)

    def remarks(self, observations):
        return (f"{observations.size} data",)

    def likelihood(self, sensors):
        return Bernoulli(len(sensors["x"]))

    def aligned(self, measured, other, sensors):
        return measured, other, sensors

    def memory_estimate(self, level=0):
        return 100 + level

    def grid_shape(self, nodes):
        return (nodes, 2)

    def prepare(self, level):
        raise ConfigError(f"no level {level}")

    def judge_derivative(self, dot_product_error, taylor_slope):
        raise CapabilityError(f"slope {taylor_slope:g}")

    def fixtures(self):
        return xr.Dataset({"electrode_x": 3.0})

    def images(self, level):
        return f"images of {level}"

    def portrait(self, level):
        return f"portrait of {level}"

    def derived(self, level=0):
        return f"derived on {level}"

    def extensions(self, sensors, shape):
        return f"extensions of {sensors} on {shape}"

    def strong_form(self):
        raise NotImplementedError


def _judged(problem):
    """What the problem says against a derivative."""
    try:
        hooks.judge_derivative(problem, 0.0, 1.0)
    except CapabilityError as error:
        return str(error)
    return ""


def _prepared(problem):
    try:
        hooks.prepare(problem, 2)
    except ConfigError as error:
        return str(error)
    return ""


def asked(problem):
    """The answer to each hook, by its name."""
    data, phantom = SimpleNamespace(size=7), hooks.phantom(problem)
    return {
        "importers": hooks.importers(type(problem)),
        "metrics": hooks.metrics(problem),
        "tables_of": hooks.tables_of(type(problem), EMPTY),
        "mask": hooks.mask(problem, POINTS).tolist(),
        "on_grid": hooks.on_grid(problem, np.arange(4.0), (2, 2)).tolist(),
        "phantom": phantom and phantom("3", np.random.default_rng(0)).tolist(),
        "annotated": dict(hooks.annotated(problem, EMPTY).attrs),
        "remarks": hooks.remarks(problem, data),
        "likelihood": hooks.likelihood(problem)({"x": np.zeros(5)}),
        "aligned": hooks.aligned(problem, "data", lambda: "other", "there"),
        "memory_estimate": hooks.memory_estimate(problem, 2),
        "grid_shape": hooks.grid_shape(problem, 5),
        "prepare": _prepared(problem),
        "judge_derivative": _judged(problem),
        "images": hooks.images(problem, 2),
        "portrait": hooks.portrait(problem, 2),
        "derived": hooks.derived(problem, 2),
        "extensions": hooks.extensions(problem, "those", (2, 3)),
        "fixtures": {k: float(v) for k, v in hooks.fixtures(problem).items()},
        "strong_form": isinstance(problem, hooks.HasStrongForm),
    }


def test_a_hook_that_is_there_is_asked():
    assert asked(Full()) == {
        "importers": {"csv": "an importer"},
        "metrics": {"none": SCORE},
        "tables_of": {"cells": 3},
        "mask": [True, False, True],
        "on_grid": [[0.0, 1.0], [4.0, 9.0]],
        "phantom": [3.0, 3.0],
        "annotated": {"seen": 1},
        "remarks": ("7 data",),
        "likelihood": Bernoulli(5),
        "aligned": ("data", "other", "there"),
        "memory_estimate": 102,
        "grid_shape": (5, 2),
        "prepare": "no level 2",
        "judge_derivative": "slope 1",
        "images": "images of 2",
        "portrait": "portrait of 2",
        "derived": "derived on 2",
        "extensions": "extensions of those on (2, 3)",
        "fixtures": {"electrode_x": 3.0},
        "strong_form": True,
    }


def test_without_a_hook_its_default_holds():
    assert asked(Bare()) == {
        "importers": {},
        "metrics": {},
        "tables_of": {},
        "mask": [True, True, True],
        "on_grid": [[0.0, 2.0], [4.0, 6.0]],
        "phantom": None,
        "annotated": {},
        "remarks": (),
        "likelihood": None,
        "aligned": None,
        "memory_estimate": None,
        "grid_shape": None,
        "prepare": "no model of here on 2",
        "judge_derivative": "",
        "images": None,
        "portrait": None,
        "derived": None,
        "extensions": None,
        "fixtures": {},
        "strong_form": False,
    }


def test_nobody_asks_for_a_hook_in_another_way():
    """Every protocol here has its function, its test above, and no look-up by name elsewhere."""
    protocols = {name for name in hooks.__all__ if name.startswith("Has")}
    names = {re.sub(r"(?<!^)([A-Z])", r"_\1", name[3:]).lower() for name in protocols}
    assert names == set(asked(Bare())) == {*(set(hooks.__all__) - protocols), "strong_form"}
    look_up = re.compile(rf'(?:get|has)attr\([\w.\[\]]+, "(?:{"|".join(names)})"')
    assert look_up.search('x = getattr(truth[0], "mask", None)')
    files = [
        f for d in ("pdeinv", "problems", "surrogates", "cli") for f in (ROOT / d).rglob("*.py")
    ]
    found = [f for f in files if look_up.search(f.read_text())]
    # the model of a posterior, no problem, may carry a strong form as well
    assert [str(f.relative_to(ROOT)) for f in found] == ["pdeinv/engines/base.py"]
