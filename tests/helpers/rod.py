"""A problem in one dimension, as a plug-in of somebody else would have it."""

from typing import ClassVar

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.bayes.prior_config import LogGaussianConfig
from pdeinv.config import Config
from pdeinv.errors import ConfigError
from pdeinv.fem.field_unknown import FieldUnknown, Labels
from pdeinv.io.fields import Layout, described
from pdeinv.model.multilinear import multilinear
from pdeinv.model.observed import Observed
from pdeinv.model.reference import ReferenceModel, check_positive
from pdeinv.model.sensors import check_inside, columns, grid_nodes, parse_places, points_of
from pdeinv.plugins.problem import Card


class RodConfig(Config):
    """A rod of length 1."""

    cells: int = Field(16, ge=2, description="of level 0")
    unknown: LogGaussianConfig = LogGaussianConfig(grid=(33,), length=0.3, std=0.4, modes=6)


class RodModel(ReferenceModel):
    """G(m) = B u, -(k u')' = 1, u = 0 at both ends, by flux between neighbouring nodes."""

    def __init__(self, spaces, unknown, n, places):
        super().__init__(*spaces)
        self.x = np.linspace(0.0, 1.0, n + 1)
        self._k = unknown.at((self.x[:-1] + self.x[1:])[:, None] / 2)
        self._b = multilinear([self.x], places)

    def solved(self, m):
        k = self._k(m)
        check_positive(k, "conductivity")
        h = self.x[1]
        self.matrix = (np.diag(k[:-1] + k[1:]) - np.diag(k[1:-1], 1) - np.diag(k[1:-1], -1)) / h**2
        return np.pad(np.linalg.solve(self.matrix, np.ones(len(self.x) - 2)), 1)

    def data(self, m, *, again):
        return self._b @ self.state(m)

    def tangent(self, m, dm):
        flux = self._k.jvp(m, dm) * np.diff(self.state(m)) / self.x[1] ** 2
        return self._b @ np.pad(np.linalg.solve(self.matrix, np.diff(flux)), 1)

    def adjoint(self, m, w):
        u = self.state(m)
        back = np.pad(np.linalg.solve(self.matrix, (self._b.T @ w)[1:-1]), 1)
        return self._k.vjp(m, -np.diff(back) * np.diff(u) / self.x[1] ** 2)


class Rod:
    """-(k u')' = 1 on (0, 1)."""

    name: ClassVar[str] = "rod"
    Config = RodConfig
    card = Card("Rod", "-(k u')' = 1", "k(x) > 0", "u(x)", "u = 0", "none", "none")
    axes = ("x",)
    default_sensors = "grid:5"
    extent = ((0.0, 1.0),)

    def __init__(self, config=None):
        self.config = config or RodConfig()
        self.unknown = FieldUnknown.of(
            self.config.unknown, self.extent, Labels("conductivity", "1", "conductivity")
        )

    @property
    def observed(self):
        return Observed("u", "1", "displacement", {"x": "m"})

    def prior(self):
        return self.unknown.prior

    def _count(self, level):
        if level < 0:
            raise ConfigError(f"level {level}: the rod has none that coarse")
        return self.config.cells << level

    def sensors(self, spec):
        nodes = np.linspace(0, 1, self.config.cells + 1)[1:-1, None]
        found = columns(parse_places(spec, self.extent, lambda: nodes))
        check_inside(found, self.extent)
        return found

    def forward_model(self, sensors, level=0):
        spaces = self.prior().space, self.observed.space(sensors)
        places = points_of(sensors, self.axes)
        return RodModel(spaces, self.unknown, self._count(level), places)

    def solve(self, m, level=1, comm=None):
        model = self.forward_model({"x": np.array([0.5])}, level)
        u, n = model.state(m), len(model.x)
        cells = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
        layout = Layout(model.x[:, None], cells, "P1", "m")
        return layout.dataset(
            {"u": layout.node(u, "1", "displacement")}, {}, ("rod", self.config, level)
        )

    def observe(self, fields: xr.Dataset, sensors):
        described(fields, "rod", RodConfig, frozenset({"u"}))
        return multilinear([fields["x"].values], points_of(sensors, self.axes)) @ fields["u"].values

    def grid(self, shape):
        return grid_nodes(self.extent, shape)

    def grid_operator(self, shape):
        return self.unknown.matrix(points_of(self.grid(shape), self.axes))

    def dofs(self, level):
        return self._count(level) + 1
