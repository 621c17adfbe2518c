"""The forward model of a user's function, at all of its data or at some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.model.forward import Capability, HiddenCost, Linearization, ModelKind
from pdeinv.model.observed import Sensors
from pdeinv.model.spaces import Space, Variable
from pdeinv.plugins.own_derivative import Actions
from pdeinv.plugins.own_model import OwnModel
from pdeinv.typing import Array

__all__ = ["OwnForward", "forward_model", "rows_of"]


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
    return kind(model, data_space(model, sensors), rows_of(model, sensors))


def data_space(model: OwnModel, sensors: Sensors) -> Space:
    """The space of data at ``sensors``."""
    o = model.observed
    coords = {c: (("obs",), np.asarray(sensors[c], dtype=np.float64)) for c in o.coords}
    attrs: Mapping[str, Mapping[str, str]] = {c: {"units": u} for c, u in o.coords.items()}
    n = len(next(iter(coords.values()))[1])
    return Space((Variable(o.name, ("obs",), (n,), o.units, o.long_name, coords, attrs),))


def rows_of(model: OwnModel, sensors: Sensors) -> NDArray[np.intp]:
    """The numbers of the data at ``sensors`` among those that the function predicts.

    Raises:
        DataSchemaError: there is no such datum.
    """
    names = list(model.observed.coords)
    known = _keys(model.coordinates, names)
    row = {key: i for i, key in enumerate(known)}
    asked = _keys(sensors, names)
    lost = [key for key in asked if key not in row]
    if lost:
        place = ", ".join(f"{c} = {v:g}" for c, v in zip(names, lost[0], strict=True))
        raise DataSchemaError(
            f"own model: {len(lost)} of {len(asked)} data are none of the {len(known)} that it "
            f"predicts, the first at {place}; give the coordinates of coords, or fewer data"
        )
    return np.array([row[key] for key in asked], dtype=np.intp)


def _keys(places: Sensors, names: list[str]) -> list[tuple[float, ...]]:
    columns = [np.asarray(places[c], dtype=np.float64).tolist() for c in names]
    return list(zip(*columns, strict=True))
