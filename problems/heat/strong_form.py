"""Heat conduction as residuals at points: ρc ∂u/∂t − kΔu − ∇k·∇u − q = 0 in space and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import sample
from pdeinv.errors import ConfigError
from pdeinv.fem.domain import BOX_SIDES
from pdeinv.fem.spacetime import SpaceTime
from pdeinv.fem.strong_diffusion import (
    divergence,
    known_field,
    length_of,
    outward_flux,
    prescribed,
    require_smooth,
    rms,
    samples,
    smooth_field,
    typical_of,
    values_at,
)
from pdeinv.model.coefficient import Affine
from pdeinv.model.multilinear import multilinear
from pdeinv.model.strong_form import (
    Box,
    Coefficients,
    Derivatives,
    Equation,
    Side,
    StrongForm,
    box_side,
)
from pdeinv.typing import Array

from .config import Boundary, Dirichlet, Flux, Robin
from .discrete import HeatDiscretisation
from .fields import to_dataset
from .unknown_config import ConductivityConfig, SourceConfig

if TYPE_CHECKING:
    from .problem import Heat

__all__ = ["strong_form"]

SUPPORTED = ("initial-state", "source", "conductivity", "robin", "flux")


def strong_form(problem: Heat) -> StrongForm:
    """The strong form of a heat problem on an interval, rectangle or box.

    The initial state is prescribed where it is known and agrees with the sides that hold u, and an
    equation to be met in the mean elsewhere.

    Raises:
        ConfigError: the domain is a .msh file, or the unknown has no strong form.
    """
    config = problem.config
    if config.mesh is not None:
        raise ConfigError(
            f"the strong form needs the box of 'lengths', the problem has {config.mesh}; use a "
            "finite-element method"
        )
    if config.unknown.kind not in SUPPORTED:
        raise ConfigError(
            f"unknown '{config.unknown.kind}' has no strong form; it knows {', '.join(SUPPORTED)}; "
            "use a finite-element method"
        )
    if isinstance(config.unknown, ConductivityConfig):
        require_smooth(problem.prior(), config.unknown.prior, "conductivity")
    return _Form(problem).build()


@dataclass(frozen=True)
class _Form:
    """The parts of the strong form of one problem."""

    problem: Heat

    @cached_property
    def d(self) -> int:
        return self.problem.config.dim

    @cached_property
    def box(self) -> Box:
        config = self.problem.config
        return (*((0.0, float(v)) for v in config.lengths), (0.0, float(config.time.final)))

    @cached_property
    def conditions(self) -> dict[Side, Boundary]:
        names, given = BOX_SIDES[self.d], self.problem.config.boundary
        return {box_side(names, s): given.get(s, Dirichlet()) for s in names}

    @property
    def _unknown_side(self) -> Side | None:
        name = getattr(self.problem.config.unknown, "side", None)
        return None if name is None else box_side(BOX_SIDES[self.d], name)

    def _function(self, value: float | str, what: str, *, timed: bool = True) -> SpaceTime:
        return self.problem.config.function(value, what, timed=timed)

    @cached_property
    def initial(self) -> SpaceTime | None:
        """u at t = 0 where it is known."""
        config = self.problem.config
        if config.unknown.kind == "initial-state":
            return None
        return self._function(config.initial, "initial state", timed=False)

    def build(self) -> StrongForm:
        held = {
            s: prescribed(self._function(c.value, "temperature on a side"))
            for s, c in self.conditions.items()
            if isinstance(c, Dirichlet)
        }
        soft = {
            s: self._through(s, c)
            for s, c in self.conditions.items()
            if isinstance(c, Flux | Robin)
        }
        start = Side(self.d, 0)
        if self.initial is not None and self._agrees():
            held[start] = prescribed(self.initial)
        else:
            soft[start] = Equation(_begins, self._start, self.scale)
        return StrongForm(
            axes=(*"xyz"[: self.d], "t"),
            box=self.box,
            outputs=(self.problem.observed.name,),
            scale=self.scale,
            curved=tuple(range(self.d)),
            interior=Equation(self._balance, self._inside, self.size),
            held=held,
            soft=soft,
            sensing=values_at((*self.problem.axes, "t")),
            fields=(self.problem.observed.name,),
            nodes=self._nodes,
            dataset=self._dataset,
        )

    def _agrees(self) -> bool:
        """Whether the initial state equals u on the sides that hold it, at t = 0."""
        assert self.initial is not None
        points = samples(self.box[: self.d])
        slack = 1e-9 * self.scale
        for side, c in self.conditions.items():
            if isinstance(c, Dirichlet):
                face = points.copy()
                face[:, side.axis] = self.box[side.axis][side.end]
                gap = self.initial(face) - self._function(c.value, "temperature")(face, 0.0)
                if np.abs(gap).max() > slack:
                    return False
        return True

    @cached_property
    def _typical(self) -> float:
        """The rms of the unknown over prior draws."""
        return rms(sample(self.problem.prior(), np.random.default_rng(0), 16))

    @cached_property
    def _conductivity(self) -> float:
        config = self.problem.config
        if isinstance(config.unknown, ConductivityConfig):
            return typical_of(self.problem.prior())
        return rms(self._function(config.conductivity, "conductivity", timed=False)(self._places))

    @cached_property
    def _places(self) -> Array:
        return samples(self.box[: self.d])

    @property
    def _length(self) -> float:
        return length_of(self.box[: self.d])

    @cached_property
    def _capacity(self) -> float:
        function = self._function(self.problem.config.capacity, "capacity", timed=False)
        return rms(function(self._places))

    @cached_property
    def _heating(self) -> float:
        config, points = self.problem.config, samples(self.box)
        known = self._function(config.source, "source")(points[:, :-1], points[:, -1])
        unknown = self._typical if config.unknown.kind == "source" else 0.0
        return rms(known) + unknown

    @cached_property
    def scale(self) -> float:
        """The typical temperature."""
        config, points = self.problem.config, samples(self.box)
        length, k = self._length, self._conductivity
        rate = min(length**2 / (4 * k), self.box[-1][1] / self._capacity)
        sizes = [self._heating * rate]
        sizes.append(self._typical if self.initial is None else rms(self.initial(self._places)))
        for c in self.conditions.values():
            value = c.ambient if isinstance(c, Robin) else c.value
            size = rms(self._function(value, "boundary value")(points[:, :-1], points[:, -1]))
            sizes.append(size * length / k if isinstance(c, Flux) else size)
        if config.unknown.kind == "flux":
            sizes.append(self._typical * length / k)
        return max(sizes) or 1.0

    @cached_property
    def size(self) -> float:
        """The typical size of the terms of the equation."""
        slow = self._capacity * self.scale / self.box[-1][1]
        return max(self._heating, slow, self._conductivity * self.scale / self._length**2)

    def _balance(self, u: Derivatives, c: Mapping[str, Any]) -> Any:
        return c["capacity"] * u.first(self.d) - divergence(u, c, "k", self.d) - c["source"]

    def _inside(self, points: Array) -> Coefficients:
        config, x, t = self.problem.config, points[:, :-1], points[:, -1]
        capacity = self._function(config.capacity, "capacity", timed=False)(x)
        source: Any = self._function(config.source, "source")(x, t)
        if isinstance(config.unknown, SourceConfig):
            profile = SpaceTime(config.unknown.profile, 0, "profile")
            factor = profile(np.zeros((len(t), 0)), t)
            matrix = self.problem.unknown.matrix(x).multiply(factor[:, None]).tocsr()
            source = Affine(matrix, source)
        return {**self._k(x), "capacity": capacity, "source": source}

    def _k(self, x: Array) -> Coefficients:
        config = self.problem.config
        if isinstance(config.unknown, ConductivityConfig):
            return smooth_field("k", self.problem.unknown.variable, x)
        return known_field("k", self._function(config.conductivity, "k", timed=False), x)

    def _start(self, points: Array) -> Coefficients:
        x = points[:, :-1]
        if self.initial is None:
            return {"initial": Affine(self.problem.unknown.matrix(x))}
        return {"initial": self.initial(x)}

    def _through(self, side: Side, condition: Flux | Robin) -> Equation:
        """−k∂u/∂n = flux, or h (u − ambient), less an unknown inward flux."""

        def coefficients(points: Array) -> Coefficients:
            x, t = points[:, :-1], points[:, -1]
            zero = np.zeros(len(points))
            found: dict[str, Any] = {"k": self._k(x)["k"], "h": zero, "given": zero, "inward": zero}
            if isinstance(condition, Flux):
                found["given"] = self._function(condition.value, "flux")(x, t)
            else:
                h = self._function(condition.coefficient, "coefficient", timed=False)
                found["h"] = h(x)
                found["ambient"] = self._function(condition.ambient, "ambient value")(x, t)
            return {**found, **self._unknown_through(side, points)}

        def residual(u: Derivatives, c: Mapping[str, Any]) -> Any:
            loss = c["h"] * (u.value - c["ambient"]) if "ambient" in c else 0.0
            return outward_flux(u, c["k"], side) - c["given"] - loss + c["inward"]

        return Equation(residual, coefficients, self._conductivity * self.scale / self._length)

    def _unknown_through(self, side: Side, points: Array) -> Coefficients:
        kind = self.problem.config.unknown.kind
        if side != self._unknown_side:
            return {}
        if kind == "robin":
            return {"h": Affine(np.ones((len(points), 1)))}
        knots = self.problem.unknown.variable.coords["knot"][1]
        return {"inward": Affine(multilinear([knots], points[:, -1:]))}

    def _discretisation(self, level: int) -> HeatDiscretisation:
        return HeatDiscretisation(self.problem.config, self.problem.domain, level)

    def _nodes(self, level: int) -> Array:
        """Every node at every time, nodes fastest."""
        d = self._discretisation(level)
        places = d.space.nodes.points
        times = np.repeat(d.times, len(places))
        return np.column_stack([np.tile(places, (len(d.times), 1)), times])

    def _dataset(self, m: Array, u: Array, level: int) -> xr.Dataset:
        d = self._discretisation(level)
        values = u.reshape(len(d.times), -1)
        return to_dataset(self.problem.config, self.problem.observed, d, values)


def _begins(u: Derivatives, c: Mapping[str, Any]) -> Any:
    return u.value - c["initial"]
