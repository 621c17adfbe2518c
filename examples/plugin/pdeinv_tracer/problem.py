"""A tracer in a column or river reach: velocity, dispersion and release from breakthrough curves.

∂c/∂t + v ∂c/∂x = D ∂²c/∂x² on (0, L), c(0, t) the release, ∂c/∂x = 0 at the outlet, c = 0 at first.
Central differences in space, Crank-Nicolson in time: M⁺ c(n + 1) = M⁻ c(n) with M± = 1 ± ½ Δt A.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import xarray as xr
from pydantic import Field
from scipy import sparse
from scipy.sparse.linalg import splu

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior
from pdeinv.bayes.transforms import Exponential
from pdeinv.config import Config
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.reference import ReferenceModel, check_positive
from pdeinv.model.sensors import check_inside, check_times, grid_nodes, outside, parse_timed
from pdeinv.model.spaces import Space, Variable
from pdeinv.plugins.problem import Card
from pdeinv.typing import Array

__all__ = ["Tracer", "TracerConfig"]


class TracerConfig(Config):
    """Options of ``tracer``: lengths in m, times in h."""

    length: float = Field(10.0, gt=0, description="length of the reach")
    time: float = Field(12.0, gt=0, description="observed time")
    cells: int = Field(40, ge=4, description="cells along x on level 0")
    steps: int = Field(60, ge=4, description="time steps on level 0")
    velocity: float = Field(1.0, gt=0, description="prior median of the velocity, in m/h")
    dispersion: float = Field(0.3, gt=0, description="prior median of the dispersion, in m2/h")
    spread: float = Field(0.3, gt=0, description="prior standard deviation of their logarithms")
    values: int = Field(8, ge=3, description="values of the release history, linear between")


def between(nodes: Array, at: Array) -> Any:
    """The matrix of linear interpolation from equidistant nodes, shape (len(at), len(nodes))."""
    left = np.clip(np.searchsorted(nodes, at, "right") - 1, 0, len(nodes) - 2)
    weight, row = (at - nodes[left]) / (nodes[1] - nodes[0]), np.arange(len(at))
    entries = np.r_[1 - weight, weight], (np.r_[row, row], np.r_[left, left + 1])
    return sparse.csr_array(sparse.coo_array(entries, (len(at), len(nodes))))


class TracerModel(ReferenceModel):
    """G: (v, D, release) to concentrations; the states (time, node) hold the inlet first."""

    def __init__(self, spaces: tuple[Space, Space], x: Array, t: Array, places: Any) -> None:
        super().__init__(*spaces)
        self.x, self.t, self.readout, n, h = x, t, places, len(x) - 1, x[1]
        first = sparse.diags_array([-1.0, 1.0], offsets=[0, 2], shape=(n, n + 1)).tolil()
        second = sparse.diags_array([1.0, -2.0, 1.0], offsets=[0, 1, 2], shape=(n, n + 1)).tolil()
        first[-1], second[-1, n - 1] = 0.0, 2.0  # beyond the outlet the last but one is mirrored
        self.first, self.second = sparse.csr_array(first) / (2 * h), sparse.csr_array(second) / h**2
        self.inlet = between(np.linspace(0.0, t[-1], spaces[0].size - 2), t)

    def march(self, states: Array, source: Array) -> Array:
        """Fill in the states behind their inlet, with a source a step, shape (steps, cells)."""
        for n in range(len(self.t) - 1):
            known = self.minus @ states[n] - self.entry * states[n + 1, 0] + source[n]
            states[n + 1, 1:] = self.factors.solve(known)
        return states

    def solved(self, m: Array) -> Array:
        check_positive(m[:2], "velocity and dispersion")
        half = 0.5 * self.t[1] * (m[0] * self.first - m[1] * self.second)
        keep = sparse.eye_array(*half.shape, k=1)
        plus, self.minus = sparse.csc_array(keep + half), sparse.csr_array(keep - half)
        self.entry, self.factors = plus[:, [0]].toarray()[:, 0], splu(plus[:, 1:])
        states = np.zeros((len(self.t), len(self.x)))
        states[:, 0] = self.inlet @ m[2:]
        return self.march(states, np.zeros((len(self.t) - 1, len(self.x) - 1)))

    def data(self, m: Array, *, again: bool) -> Array:
        return np.asarray(self.readout @ self.state(m).ravel())

    def tangent(self, m: Array, dm: Array) -> Array:
        mean = 0.5 * (self.state(m)[1:] + self.state(m)[:-1])
        states = np.zeros_like(self.state(m))
        states[:, 0] = self.inlet @ dm[2:]
        source = -self.t[1] * (dm[0] * self.first - dm[1] * self.second) @ mean.T
        return np.asarray(self.readout @ self.march(states, source.T).ravel())

    def adjoint(self, m: Array, w: Array) -> Array:
        mean = 0.5 * (self.state(m)[1:] + self.state(m)[:-1])
        carried, found = (self.readout.T @ w).reshape(self.state(m).shape), np.zeros(2)
        for n in reversed(range(len(self.t) - 1)):
            costate = self.factors.solve(carried[n + 1, 1:], "T")
            carried[n + 1, 0] -= self.entry @ costate
            carried[n] += self.minus.T @ costate
            slopes = np.stack([self.first @ mean[n], -(self.second @ mean[n])])
            found -= self.t[1] * (slopes @ costate)
        return np.concatenate([found, self.inlet.T @ carried[:, 0]])


class Tracer:
    name: ClassVar[str] = "tracer"
    Config: ClassVar[type[TracerConfig]] = TracerConfig
    card: ClassVar[Card] = Card(
        title="Tracer in a column or river reach",
        equation="∂c/∂t + v ∂c/∂x = D ∂²c/∂x²",
        unknown="velocity v, dispersion D, release history c(0, t)",
        state="concentration c(x, t)",
        boundary="c(0, t) the release, ∂c/∂x = 0 at the outlet, c = 0 at first",
        units="c in mg L-1, x in m, t in h, v in m h-1, D in m2 h-1",
        reference="Ogata and Banks (1961)",
    )
    observed = Observed("c", "mg L-1", "tracer concentration", {"x": "m", "t": "h"})
    axes, default_sensors = ("t",), "grid:3@1:12:12"

    def __init__(self, config: TracerConfig | None = None) -> None:
        self.config = config if config is not None else TracerConfig()

    def prior(self) -> Prior:
        c, when = self.config, np.linspace(0.0, self.config.time, self.config.values)
        about = {"release_time": (("release_time",), when)}, {"release_time": {"units": "h"}}
        parts = [
            (c.velocity, c.spread, Variable("velocity", (), (), "m h-1", "velocity")),
            (c.dispersion, c.spread, Variable("dispersion", (), (), "m2 h-1", "dispersion")),
            (
                1.0,
                1.0,
                Variable("release", ("release_time",), when.shape, "mg L-1", "release", *about),
            ),
        ]
        logs = [(np.full(v.size, np.log(m)), np.full(v.size, s), Space((v,))) for m, s, v in parts]
        factors = (FieldPrior(v, IndependentField(m, s), Exponential()) for m, s, v in logs)
        return ProductPrior(tuple(factors))

    def sensors(self, spec: str) -> Sensors:
        c = self.config
        found = parse_timed(spec, ((0.0, c.length),), lambda: self.x(0)[1:, None], c.time)
        check_inside(found, ((0.0, c.length),))
        check_times(found["t"], c.time, ConfigError)
        return found

    def x(self, level: int) -> Array:
        return np.linspace(0.0, self.config.length, int(self.config.cells * 2.0**level) + 1)

    def t(self, level: int) -> Array:
        return np.linspace(0.0, self.config.time, int(self.config.steps * 2.0**level) + 1)

    def forward_model(self, sensors: Sensors, level: int = 0) -> TracerModel:
        check_times(sensors["t"], self.config.time)
        if len(outside(sensors["x"][:, None], ((0.0, self.config.length),))):
            raise DataSchemaError(f"a sensor lies outside the reach [0, {self.config.length:g}]")
        x, t = self.x(level), self.t(level)
        at = between(t, sensors["t"]), between(x, sensors["x"])
        places = sparse.vstack([sparse.kron(at[0][[i]], at[1][[i]]) for i in range(at[0].shape[0])])
        return TracerModel((self.prior().space, self.observed.space(sensors)), x, t, places)

    def solve(self, m: Array, level: int = 1, comm: Any = None) -> xr.Dataset:
        model = self.forward_model({"x": np.zeros(1), "t": np.zeros(1)}, level)
        names = {"t": ("h", "time"), "x": ("m", "distance"), "c": ("mg L-1", "concentration")}
        words = {k: {"units": unit, "long_name": name} for k, (unit, name) in names.items()}
        coords = {"t": ("t", model.t, words["t"]), "x": ("x", model.x, words["x"])}
        return xr.Dataset({"c": (("t", "x"), model.state(m), words["c"])}, coords)

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        t, x = (between(fields[a].values, sensors[a]) for a in ("t", "x"))
        return np.asarray((t @ fields["c"].values * x.toarray()).sum(axis=1))

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        t = grid_nodes(((0.0, self.config.time),), shape)["x"]
        return {"x": np.zeros_like(t), "t": t}

    def grid_operator(self, shape: tuple[int, ...]) -> Any:
        when = np.linspace(0.0, self.config.time, self.config.values)
        return sparse.hstack(
            [sparse.csr_array((shape[0], 2)), between(when, self.grid(shape)["t"])]
        )

    def dofs(self, level: int) -> int:
        return len(self.x(level)) - 1
