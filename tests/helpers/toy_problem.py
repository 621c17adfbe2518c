"""A problem in numpy alone that keeps every clause: −(κu')' = 1 on (0, 1) by finite differences."""

import re

import numpy as np
import xarray as xr
from pydantic import Field
from scipy import sparse

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Exponential
from pdeinv.config import Config
from pdeinv.errors import ConfigError, DataSchemaError, SolverDiverged
from pdeinv.io.fields import UNKNOWN, described, description
from pdeinv.model.derived import Derived
from pdeinv.model.forward import Capability, Linearization
from pdeinv.model.observed import Observed
from pdeinv.model.rows import linearize_each, rows_each
from pdeinv.model.spaces import Space, Variable
from pdeinv.model.strong_form import Equation, Side, StrongForm
from pdeinv.plugins.problem import Card, Importer, Metric

__all__ = ["Options", "Scale", "Toy", "ToyConfig", "ToyModel"]

KNOTS = 5
"""The unknown: values of κ at so many nodes, linear between them."""


class Scale(Config):
    """The size of the unknown."""

    std: float = Field(0.3, description="standard deviation of ln κ")


class ToyConfig(Config):
    """What may be set."""

    cells: int = Field(16, ge=2, description="cells of the inversion mesh")
    scale: Scale = Field(Scale(), description="the prior")


class Options(Config):
    """Of the importer."""

    column: int = Field(0, description="which column holds the data")


def hats(nodes, x):
    """Linear interpolation between nodes as a matrix."""
    return sparse.csr_array(np.stack([np.interp(x, nodes, e) for e in np.eye(len(nodes))], axis=1))


class ToyModel:
    """G(m) = B u with A(κ) u = b."""

    kind = "reference"
    capabilities = frozenset({Capability.JVP, Capability.VJP, Capability.ROWS})

    def __init__(self, problem, sensors, level):
        self.m_space, self.d_space = problem.prior().space, problem.observed.space(sensors)
        self.n = problem.cells(level)
        nodes = np.linspace(0, 1, self.n + 1)
        middles = 0.5 * (nodes[1:] + nodes[:-1])
        self.to_cells = hats(problem.knots, middles).toarray()
        self.observation = hats(nodes, np.asarray(sensors["x"])).toarray()[:, 1:-1]
        # differences of the interior values, zero at both ends
        self.slope = (np.eye(self.n, self.n - 1) - np.eye(self.n, self.n - 1, -1)) * self.n

    def matrix(self, m):
        kappa = self.to_cells @ m
        return self.slope.T @ (kappa[:, None] * self.slope)

    def state(self, m):
        m = self.m_space.check(m)
        if not (m.min() > 0 and m.max() < 1e100 and m.min() > 1e-100):
            raise SolverDiverged("conductivity must be positive and finite")
        return np.linalg.solve(self.matrix(m), np.ones(self.n - 1))

    def __call__(self, m):
        return self.observation @ self.state(m)

    def linearize(self, m):
        m = np.array(m)
        u = self.state(m)
        slope, to_cells, observation = self.slope, self.to_cells, self.observation
        matrix = self.matrix(m)

        def jvp(dm):
            load = slope.T @ ((to_cells @ dm) * (slope @ u))
            return -observation @ np.linalg.solve(matrix, load)

        def vjp(w):
            adjoint = np.linalg.solve(matrix, observation.T @ w)
            return -to_cells.T @ ((slope @ adjoint) * (slope @ u))

        return Linearization(observation @ u, jvp, vjp)

    def rows(self, ms):
        return rows_each(self, self.m_space.check(ms))

    def linearize_rows(self, ms):
        return linearize_each(self, self.m_space.check(ms))


class Toy:
    """Heat in a rod of unknown conductivity."""

    name = "toy"
    Config = ToyConfig
    card = Card("A rod", "−(κu')' = 1", "κ", "u", "u = 0", "all 1", "any textbook")
    axes = ("x",)
    default_sensors = "grid:7"
    Model = ToyModel
    importers = {"csv": Importer("a column of numbers", Options, lambda *_: xr.Dataset())}
    metrics = {"gap": Metric("largest difference", lambda a, b: float(np.abs(a - b).max()))}

    def __init__(self, config=None):
        self.config = ToyConfig() if config is None else config

    @property
    def observed(self):
        return Observed("u", "K", "temperature", {"x": "m"})

    @property
    def knots(self):
        return np.linspace(0, 1, KNOTS)

    def cells(self, level):
        return int(self.config.cells * 2.0**level)

    def space(self):
        coords, attrs = {"x": (("knot",), self.knots)}, {"x": {"units": "m"}}
        labels = ("W m-1 K-1", "conductivity")
        return Space((Variable("kappa", ("knot",), (KNOTS,), *labels, coords, attrs),))

    def prior(self):
        std = np.full(KNOTS, self.config.scale.std)
        return FieldPrior(self.space(), IndependentField(np.zeros(KNOTS), std), Exponential())

    def sensors(self, spec):
        grid = re.fullmatch(r"grid:([1-9]\d*)", spec)
        if grid:
            x = np.linspace(0, 1, int(grid[1]) + 2)[1:-1]
        elif spec.startswith("list:"):
            try:
                x = np.array([float(t) for t in spec[5:].split(";")])
            except ValueError:
                raise ConfigError(f"sensors '{spec}': expected numbers") from None
        else:
            raise ConfigError(f"sensors '{spec}': expected grid:K or list:x;x")
        if not ((x >= 0) & (x <= 1)).all():
            raise ConfigError(f"sensors '{spec}': outside [0, 1]")
        return {"x": x}

    def forward_model(self, sensors, level=0):
        x = np.asarray(sensors["x"])
        if not ((x >= 0) & (x <= 1)).all():
            raise DataSchemaError("a sensor lies outside [0, 1]")
        return self.Model(self, sensors, level)

    def solve(self, m, level=1, comm=None):
        x = np.linspace(0, 1, self.cells(level) + 1)
        u = np.pad(self.forward_model({"x": x[:1]}, level).state(m), 1)
        kappa = hats(self.knots, x) @ m
        labels = {"units": "W m-1 K-1", "long_name": "conductivity", UNKNOWN: "kappa"}
        variables = {
            "u": ("node", u, {"units": "K", "long_name": "temperature"}),
            "k": ("node", kappa, labels),
        }
        coords = {"x": ("node", x, {"units": "m", "long_name": "place"})}
        return xr.Dataset(variables, coords, description(self.name, self.config, level))

    def observe(self, fields, sensors):
        described(fields, self.name, ToyConfig, frozenset({"u"}))
        return hats(np.asarray(fields["x"]), sensors["x"]) @ np.asarray(fields["u"])

    def grid(self, shape):
        if len(shape) != 1 or min(shape) < 2:
            raise ConfigError(f"grid shape: expected one number of at least 2, got {shape}")
        return {"x": np.linspace(0, 1, shape[0])}

    def grid_operator(self, shape):
        return hats(self.knots, self.grid(shape)["x"])

    def dofs(self, level):
        return self.cells(level) - 1

    def mask(self, points):
        return (points[:, 0] >= 0) & (points[:, 0] <= 1)

    def on_grid(self, m, shape):
        return self.grid_operator(shape) @ m

    def phantom(self, name, rng):
        if name != "step":
            raise ConfigError(f"no phantom '{name}'; there is step")
        return np.where(self.knots < 0.5, 1.0, 2.0)

    def fixtures(self):
        return xr.Dataset({"clamp_x": ("clamp", [0.0, 1.0]), "clamp_y": ("clamp", [0.0, 0.0])})

    def derived(self, level=0):
        model = self.forward_model({"x": np.array([0.5])}, level)
        return Derived(Space((Variable("middle", (), (), "K", "u in the middle"),)), model)

    def memory_estimate(self, level=0):
        return 8 * self.cells(level) ** 2

    def annotated(self, dataset):
        return dataset.assign_attrs(rod="copper")

    @classmethod
    def tables_of(cls, dataset):
        return {}

    def remarks(self, observations):
        return ("cold",) if observations.values.min() < 0 else ()

    def strong_form(self):
        return StrongForm(
            axes=("x",),
            box=((0.0, 1.0),),
            outputs=("u",),
            scale=1.0,
            curved=(0,),
            interior=Equation(lambda u, *_: u.second(0) + 1, lambda *_: {}, 1.0),
            held={Side(0, 0): lambda x: 0 * x, Side(0, 1): lambda x: 0 * x},
            soft={},
            sensing=lambda s: (np.asarray(s["x"])[:, None], lambda u: u.value[:, 0]),
            fields=("u",),
            nodes=lambda level: np.linspace(0, 1, self.cells(level) + 1)[:, None],
            dataset=lambda m, _, level: self.solve(m, level),
        )
