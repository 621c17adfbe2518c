"""Growth at points, for networks: a guess of the logit of c that depends on the unknown, corrected.

With ψ = ln c/(1 − c), so that c lies between 0 and 1 whatever ψ is, the equation is

    φ (∂ψ/∂t − ρ) = D_w (∇·(φκ∇ψ) + φκ (1 − 2c) |∇ψ|²),   κ = w + g/ratio

where growth alone is a straight line in time, and a front a slope. The part of tissue φ = w + g
stands in place of the domain: with it no flux enters CSF and skull, up to the width over which
tissue ends (the diffuse domain of Li, Lowengrub, Rätz and Voigt 2009). The guess is

    G = ln a/(1 − a) + ρ t,   a = peak (w₀²/s)^(d/2) exp(−|x − x₀|²/(2 s)),   s = w₀² + 2 D_w t

the seed after diffusion in white matter alone and then growth alone; each of them alone is exact,
and at t = 0 it is the seed. The network learns u = ψ − G, which is zero there by construction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.model.coefficient import Affine
from pdeinv.model.observed import Sensors
from pdeinv.model.sensors import points_of
from pdeinv.model.strong_form import Box, Coefficients, Derivatives, Equation, Side, StrongForm
from pdeinv.typing import Array

from .clock import Clock
from .smooth_tissue import SmoothTissue

if TYPE_CHECKING:
    from .problem import Tumor

__all__ = ["strong_form"]

SEEN = 1e-3
"""Concentrations of the guess below this one count the less, the smaller they are, and what is
full but for this likewise: nothing grows out of them that data would see."""
LOGITS = 4.0
"""The typical size of what the guess is off."""
ABOVE = 3.0
"""How far the logit can be above the guess. It could be nowhere but for walls that throw cells back
and grey matter that keeps them together: without a bound a network may let a front come in from
where nothing is held against it."""
WORST = 0.1
"""The largest rms of the residuals, by the terms of the equation, of what is called a solution."""


def strong_form(problem: Tumor) -> StrongForm:
    """The strong form of a tumor whose duration of growth is known and whose D and ρ are numbers.

    Raises:
        ConfigError: they are not, D depends on the direction, or the seed begins full.
    """
    config = problem.config
    told = {
        "unknown.duration": config.unknown.duration is not None,
        **{f"unknown.{name}": True for name in config.factors},
        "problem.tensor": config.tensor is not None,
        "problem.voxel": config.voxel > 0,
        "problem.seed.peak = 1": config.seed.peak >= 1,
    }
    bad = [name for name, given in told.items() if given]
    if bad:
        raise ConfigError(
            f"the strong form of tumors does not know {bad[0]}; leave it out, or use finite "
            "elements or finite differences"
        )
    return _Form(problem).build()


@dataclass(frozen=True)
class _Form:
    """The parts of the strong form of one problem."""

    problem: Tumor

    @cached_property
    def d(self) -> int:
        return self.problem.config.dim

    @cached_property
    def final(self) -> float:
        return self.problem.config.time.final

    @cached_property
    def tissue(self) -> SmoothTissue:
        return SmoothTissue.of(self.problem.config, self.problem.tissue)

    def build(self) -> StrongForm:
        config = self.problem.config
        rate = config.unknown.growth_rate.median
        return StrongForm(
            axes=(*self.problem.axes, "t"),
            box=(*config.extent, (0.0, self.final)),
            outputs=("u",),
            scale=LOGITS,
            curved=tuple(range(self.d)),
            interior=Equation(self._balance, self._inside, rate),
            held={Side(self.d, 0): lambda x: x[:, :1] * 0.0},
            soft={
                side: Equation(self._through(side), self._inside, 1.0)
                for side in (Side(k // 2, k % 2) for k in range(2 * self.d))
                if self.tissue.reaches(side, config.threshold)
            },
            sensing=self._sensing,
            fields=("c",),
            nodes=self._nodes,
            dataset=self._dataset,
            lift=lambda x: (x[:, :1] * 0.0, x[:, -1:] / self.final),
            check=self._check,
            focus=self._focus,
            beside=lambda sensors: self._unknown(self._points(sensors)),
            state=self._state,
        )

    def _unknown(self, points: Array) -> dict[str, Any]:
        """D, ρ and the seed, and the points that the guess is of."""
        names = ("diffusivity", "growth_rate", *(f"seed_{k}" for k in range(self.d)))
        n, size = len(points), self.problem.prior().space.size
        found: dict[str, Any] = {name: Affine.entry(k, size, n) for k, name in enumerate(names)}
        return {**found, "place": points}

    def _inside(self, points: Array) -> Coefficients:
        return {**self._unknown(points), **self.tissue.at(points[:, :-1])}

    def _balance(self, u: Derivatives, c: Mapping[str, Any]) -> Any:
        """The equation in d-1, where it matters for what is seen."""
        guess, off = self._guess(c), _Bounded.of(u.value)
        slopes = [guess.first(k) + off.slope * u.first(k) for k in range(self.d)]
        curves: Any = sum(
            guess.second(k) + off.slope * u.second(k) + off.curve * u.first(k) ** 2
            for k in range(self.d)
        )
        state = (guess.value + off.value).sigmoid()
        steep: Any = sum(s**2 for s in slopes)
        along: Any = sum(c[f"spread_{k}"] * s for k, s in enumerate(slopes))
        spread = c["spread"] * (curves + (1.0 - 2.0 * state) * steep) + along
        grown = guess.first(self.d) + off.slope * u.first(self.d) - c["growth_rate"]
        return self._weight(c) * (c["tissue"] * grown - c["diffusivity"] * spread)

    def _through(self, side: Side) -> Callable[[Derivatives, Mapping[str, Any]], Any]:
        """No flux: the slope across a side with tissue, by that of fronts."""
        config = self.problem.config.unknown
        front = math.sqrt(config.growth_rate.median / config.diffusivity.median)

        def residual(u: Derivatives, c: Mapping[str, Any]) -> Any:
            guess = self._guess(c)
            slope = guess.first(side.axis) + _Bounded.of(u.value).slope * u.first(side.axis)
            return self._weight(c) * c["tissue"] * slope / front

        return residual

    def _guess(self, c: Mapping[str, Any]) -> _Guess:
        seed = self.problem.config.seed
        return _Guess.of(c, self.d, seed.peak, seed.width)

    def _weight(self, c: Mapping[str, Any]) -> Any:
        """About 1 where there are concentrations that count, and 0 where there are none.

        Those of the guess with D and ρ of at least the middle of the prior: an unknown that is
        sought must not make the equation vanish by growing less.
        """
        low = self.problem.config.unknown
        more = {
            "diffusivity": c["diffusivity"].clamp(min=low.diffusivity.median),
            "growth_rate": c["growth_rate"].clamp(min=low.growth_rate.median),
        }
        at = self._guess({**c, **more}).value.clamp(min=-60.0, max=60.0)
        return 1.0 / (1.0 + SEEN * ((-at).exp() + at.exp()))

    def _points(self, sensors: Sensors) -> Array:
        return np.column_stack([points_of(sensors, self.problem.axes), sensors["t"]])

    def _sensing(self, sensors: Sensors) -> tuple[Array, Callable[[Derivatives], Any]]:
        """Concentrations at places and times.

        Raises:
            ConfigError: data are others.
        """
        if self.problem.config.masks is not None or self.problem.config.pet is not None:
            raise ConfigError(
                f"the strong form of tumors reads concentrations, and data are "
                f"'{self.problem.observed.name}'; use an engine on finite elements or differences"
            )
        self.problem._check(sensors, Clock.of(self.problem.config, 0))
        points = self._points(sensors)

        def observe(u: Derivatives) -> Any:
            names = ("diffusivity", "growth_rate", *(f"seed_{k}" for k in range(self.d)), "place")
            guess = self._guess({name: u.number(name) for name in names})
            return (guess.value + _Bounded.of(u.value).value).sigmoid()[:, 0]

        return points, observe

    def _focus(self, m: Array) -> Box:
        """Where the guess of ``m`` can be seen at the end, and some more."""
        config, seed = self.problem.config, m[2 : 2 + self.d]
        spread = max(m[0], config.unknown.diffusivity.median)
        rate = max(m[1], config.unknown.growth_rate.median)
        size = config.seed.width**2 + 2.0 * spread * self.final
        logit = rate * self.final + math.log(config.seed.peak / SEEN)
        logit -= 0.5 * self.d * math.log(size / config.seed.width**2)
        reach = math.sqrt(2.0 * size * max(logit, 1.0)) + 2.0 * config.seed.width
        sides = zip(config.extent, seed, strict=True)
        own = [(max(a, x - reach), min(b, x + reach)) for (a, b), x in sides]
        return (*own, (0.0, self.final))

    def _state(self, m: Array, points: Array, u: Array) -> Array:
        """c of the correction."""
        import torch

        given = self._unknown(points)
        c = {k: torch.as_tensor(v if k == "place" else v(m)[:, None]) for k, v in given.items()}
        return np.asarray(
            (self._guess(c).value + _Bounded.of(torch.as_tensor(u)).value).sigmoid().numpy()
        )

    def _nodes(self, level: int) -> Array:
        on = self.problem.discretisation(level)
        times = on.clock.times(self.final)[on.clock.written]
        places = on.lattice.points
        return np.column_stack([np.tile(places, (len(times), 1)), np.repeat(times, len(places))])

    def _dataset(self, m: Array, c: Array, level: int) -> xr.Dataset:
        on = self.problem.discretisation(level)
        times = on.clock.times(self.final)[on.clock.written]
        states = c[:, 0].reshape(len(times), on.lattice.size)
        return self.problem._dataset(on, m, times, states)

    def _check(
        self, c: Callable[[Array], Array], numbers: Mapping[str, float], residual: float
    ) -> None:
        """Refuse what does not obey the equation.

        Raises:
            SolverDiverged: it does not, with the reason.
        """
        if not residual < WORST:
            raise SolverDiverged(
                f"the network found no growth: the rms of its residual is {residual:.2g} of the "
                f"prior's median growth rate, expected below {WORST:g}; train longer "
                "(solver.newton_steps), take more solver.points or solver.width, another seed, or "
                "finite elements"
            )


@dataclass(frozen=True)
class _Bounded:
    """B(u) = b − ln(1 + e^(b′ − u)) with B(0) = 0: about u where that is negative, and below b.

    Attributes:
        value: B(u).
        slope: B′(u).
        curve: B″(u).
    """

    value: Any
    slope: Any
    curve: Any

    @classmethod
    def of(cls, u: Any) -> _Bounded:
        """That of a tensor."""
        from torch.nn.functional import softplus

        away = math.log(math.expm1(ABOVE)) - u
        slope = away.sigmoid()
        return cls(ABOVE - softplus(away), slope, -slope * (1.0 - slope))


@dataclass(frozen=True)
class _Guess:
    """G at points with its derivatives, tensors (n, 1).

    Attributes:
        value: G.
        slopes: along each axis, time last.
        curves: second derivatives along the axes of space.
    """

    value: Any
    slopes: tuple[Any, ...]
    curves: tuple[Any, ...]

    @classmethod
    def of(cls, c: Mapping[str, Any], d: int, peak: float, width: float) -> _Guess:
        """That of an unknown at the points ``place``."""
        place, spread, rate = c["place"], c["diffusivity"], c["growth_rate"]
        t = place[:, d : d + 1]
        s = width**2 + 2.0 * spread * t
        away = [place[:, k : k + 1] - c[f"seed_{k}"] for k in range(d)]
        square: Any = sum(x**2 for x in away)
        log = math.log(peak) - square / (2.0 * s) - 0.5 * d * (s / width**2).log()
        a = log.exp()
        # the logarithm's derivatives; it solves the equation of diffusion
        slopes = [-x / s for x in away]
        over = spread * (square / s**2 - d / s)
        value = log - (-a).log1p() + rate * t
        own = 1.0 / (1.0 - a)
        curves = tuple(own * (-1.0 / s) + own**2 * a * x**2 for x in slopes)
        return cls(value, (*(own * x for x in slopes), own * over + rate), curves)

    def first(self, axis: int) -> Any:
        """∂G along an axis."""
        return self.slopes[axis]

    def second(self, axis: int) -> Any:
        """∂²G along an axis of space, twice."""
        return self.curves[axis]
