"""A user's model as a problem without a mesh, which every verb takes under the name ``own``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config as BaseConfig
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.model.forward import (
    Capability,
    ForwardModel,
    HiddenCost,
    Linearization,
    ModelKind,
)
from pdeinv.model.observed import Observed, Sensors
from pdeinv.model.spaces import Space
from pdeinv.plugins.own_declared import OWN, OwnTable, declare, find
from pdeinv.plugins.own_derivative import Actions
from pdeinv.plugins.own_model import OwnModel, rows_of
from pdeinv.plugins.problem import Card, Metric
from pdeinv.typing import Array

__all__ = ["OwnConfig", "OwnForward", "OwnProblem"]

ALL = "all"
MAX_DOT_PRODUCT_ERROR = 1e-6
MIN_TAYLOR_SLOPE = 1.5
"""A wrong derivative has slope 1, a right one slope 2."""


@dataclass(frozen=True)
class OwnForward:
    """G at the data ``rows``.

    Attributes:
        model: the function and what is known of it.
        d_space: the space of the data.
        rows: numbers of the data among all, shape (n,).
        hidden_cost: of derivatives that were put together from other evaluations.
    """

    model: OwnModel
    d_space: Space
    rows: NDArray[np.intp]
    hidden_cost: HiddenCost = field(default_factory=HiddenCost)
    kind: ModelKind = "reference"

    @property
    def m_space(self) -> Space:
        """The space of the unknown."""
        return self.model.prior.space

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Both derivative actions, where the user gave a derivative."""
        both = {Capability.JVP, Capability.VJP}
        return frozenset(both if self.model.derivative.given else ())

    def __call__(self, m: Array) -> Array:
        """G(m), shape (n,)."""
        return self.model.evaluate(self.m_space.check(m))[self.rows]

    def _actions(self, m: Array) -> Actions:
        model = self.model
        return Actions(model.derivative, model.evaluate, m, model.size, self.hidden_cost)

    def linearize(self, m: Array) -> Linearization:
        """G and the actions of its derivative; what was hidden and not counted so far never is."""
        self.hidden_cost.take()
        value, actions, rows = self(m), self._actions(self.m_space.check(m)), self.rows

        def vjp(w: Array) -> Array:
            full = np.zeros(self.model.size)
            full[rows] = w
            return actions.vjp(full)

        return Linearization(value, lambda dm: actions.jvp(dm)[rows], vjp)


@dataclass(frozen=True)
class WithJacobian(OwnForward):
    """The same where the user gave the whole Jacobian."""

    def jacobian(self, m: Array) -> Array:
        """dG(m), shape (n, n_m)."""
        return self._actions(self.m_space.check(m)).dense[self.rows]


def forward_model(model: OwnModel, sensors: Sensors) -> OwnForward:
    """G at some of its data.

    Raises:
        DataSchemaError: a datum that the function does not predict.
    """
    kind = OwnForward if model.derivative.jacobian is None else WithJacobian
    return kind(model, model.observed.space(sensors), rows_of(model, sensors))


class OwnConfig(BaseConfig):
    """Which model a file or run belongs to; it cannot be imported from here."""

    model: str = Field(pattern=r"^[\w./<>-]*:[\w.<>]+$", description="module:factory")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="hash of the module's source file")

    def model_dump(self, **how: Any) -> dict[str, Any]:
        """The table, which brings the model along to other processes."""
        return OwnTable(super().model_dump(**how))


class OwnProblem:
    """y = G(m) with a function G that a user wrote.

    There are no meshes: levels from 0 on are G, level −1 is its cheaper twin where there is one.
    """

    name: ClassVar[str] = OWN
    Config: ClassVar[type[BaseConfig]] = OwnConfig
    card: ClassVar[Card] = Card(
        title="A model of one's own",
        equation="y = G(m)",
        unknown="m, the variables of the prior",
        state="none",
        boundary="none",
        units="those that the model gives",
        reference="docs/python.md",
    )
    axes: ClassVar[tuple[str, ...]] = ("entry",)
    default_sensors: ClassVar[str] = ALL

    def __init__(self, config: OwnConfig) -> None:
        self.config = config
        self.model = find(config.model, config.sha256)

    @classmethod
    def of(cls, model: OwnModel) -> OwnProblem:
        """The problem of a model, which files that belong to it may be read with from now on."""
        return cls(OwnConfig(**declare(model)))

    @property
    def observed(self) -> Observed:
        """What the function returns."""
        return self.model.observed

    def prior(self) -> Prior:
        """The prior of m."""
        return self.model.prior

    def sensors(self, spec: str) -> Sensors:
        """The coordinates of all data; ``all`` is the only text that means something.

        Raises:
            ConfigError: another text.
        """
        if spec != ALL:
            raise ConfigError(
                f"--sensors {spec}: an own model predicts the data of its function and no others; "
                "use 'all'"
            )
        return self.model.coordinates

    def forward_model(self, sensors: Sensors, level: int = 0) -> ForwardModel:
        """G at some of its data, or its cheaper twin at level −1.

        Raises:
            CapabilityError: there is no cheaper twin.
            DataSchemaError: a datum that the function does not predict.
        """
        if level >= 0:
            return forward_model(self.model, sensors)
        if self.model.coarse is None or level < -1:
            raise CapabilityError(
                f"an own model has no coarse level {level}; give own_model(coarse=...), or train a "
                "surrogate ('pdeinv generate', 'pdeinv train-surrogate latent') and pass it by "
                "--surrogate"
            )
        return forward_model(self.model.coarse, sensors)

    def solve(self, m: Array, level: int = 0, comm: Any = None) -> xr.Dataset:
        """The data of one m without noise."""
        model = self.model if level >= 0 or self.model.coarse is None else self.model.coarse
        o, values = model.observed, model.evaluate(m)
        variable = xr.Variable("obs", values, {"units": o.units, "long_name": o.long_name})
        found = xr.Dataset({o.name: variable}, {"obs": np.arange(len(values))})
        if {"x", "y"} <= set(o.coords) and not _spans_plane(model.coordinates):
            return found
        return found.assign_coords(
            {c: xr.Variable("obs", model.coordinates[c], {"units": u}) for c, u in o.coords.items()}
        )

    def observe(self, fields: xr.Dataset, sensors: Sensors) -> Array:
        """Those data of a dataset of :meth:`solve` that are at ``sensors``."""
        values = np.asarray(fields[self.observed.name], dtype=np.float64)
        return values[rows_of(self.model, sensors)]

    def grid_shape(self, nodes: int) -> tuple[int, ...]:
        """The list of all unknowns is the only grid that there is."""
        return (self.prior().space.size,)

    def grid(self, shape: tuple[int, ...]) -> Sensors:
        """The numbers of the unknowns.

        Raises:
            ConfigError: another shape than :meth:`grid_shape`.
        """
        self._check_grid(shape)
        return {"entry": np.arange(shape[0], dtype=np.float64)}

    def on_grid(self, m: Array, shape: tuple[int, ...]) -> Array:
        """m itself."""
        self._check_grid(shape)
        return m

    def grid_operator(self, shape: tuple[int, ...]) -> Any:
        """The identity."""
        self._check_grid(shape)
        return np.eye(shape[0])

    def _check_grid(self, shape: tuple[int, ...]) -> None:
        size = self.prior().space.size
        if shape != (size,):
            raise ConfigError(
                f"an own model has a list of {size} unknowns and no field on a grid; use a "
                "surrogate of numbers (latent, gp, ensemble)"
            )

    def dofs(self, level: int) -> int:
        """The number of unknowns; what the function solves is its own affair."""
        return self.prior().space.size

    @property
    def metrics(self) -> dict[str, Metric]:
        """The relative error of each variable, where there are several."""
        variables = self.prior().space.variables
        if len(variables) < 2:
            return {}
        ends = np.cumsum([v.size for v in variables])
        return {
            f"rel-l2:{v.name}": Metric(
                f"relative L2 error of {v.name}", _RelativeError(slice(end - v.size, end))
            )
            for v, end in zip(variables, ends, strict=True)
        }

    def judge_derivative(self, dot_product_error: float, taylor_slope: float) -> None:
        """Refuse a derivative that is not the one of the function.

        Central differences are what the user asked for and are only reported.

        Raises:
            CapabilityError: with both figures and what to do.
        """
        right = dot_product_error <= MAX_DOT_PRODUCT_ERROR and taylor_slope >= MIN_TAYLOR_SLOPE
        if right or self.model.derivative.steps is not None:
            return
        raise CapabilityError(
            f"the derivative of own model '{self.config.model}' is wrong: Taylor slope "
            f"{taylor_slope:.2f} (2 if right), dot-product error {dot_product_error:.1e} (at most "
            f"{MAX_DOT_PRODUCT_ERROR:g}); correct jacobian, jvp or vjp, or leave them out and use "
            "an engine without derivatives (pcn, eki)"
        )


class _RelativeError:
    """‖guess − truth‖₂ / ‖truth‖₂ of one variable."""

    def __init__(self, part: slice) -> None:
        self.part = part

    def __call__(self, truth: Array, guess: Array) -> float:
        gap = (guess - truth)[self.part]
        return float(np.linalg.norm(gap) / np.linalg.norm(truth[self.part]))


def _spans_plane(places: Sensors) -> bool:
    """Whether places in the plane can be joined to triangles, as a map needs it."""
    points = np.stack([places["x"], places["y"]], axis=1)
    return int(np.linalg.matrix_rank(points - points.mean(axis=0))) == 2
