"""What m holds: the velocity, and of the wavelet what is unknown."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.bayes.named_priors import lognormal, normal, product
from pdeinv.bayes.prior import FieldPrior, Prior
from pdeinv.bayes.prior_config import GaussianConfig, UniformConfig
from pdeinv.bayes.transforms import Interval
from pdeinv.fem.field_unknown import FieldUnknown, Labels
from pdeinv.model.coefficient import Affine
from pdeinv.model.multilinear import multilinear
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

from .background import about
from .config import SeismicConfig
from .deepening import deepening
from .families import FAMILIES, STYLES
from .family_config import FamilyConfig
from .family_prior import FamilyPrior
from .free_wavelet import FreeWavelet
from .medium import AtNodes, Layers, Medium, Nodes, OnCells
from .unknown_config import BoundedConfig, LayersConfig, VelocityCellsConfig
from .wavelet import Pulse

__all__ = ["DEPTH", "Unknown"]

DEPTH = {"long_name": "depth", "positive": "down"}
"""Attributes of y."""
_LABELS = Labels("velocity", "m s-1", "velocity of sound")


class Unknown:
    """m = (velocity; amplitude, shift or the whole wavelet, as far as they are unknown).

    Args:
        config: of the problem.

    Attributes:
        velocity: the field; layers are numbers and no field.
    """

    def __init__(self, config: SeismicConfig) -> None:
        self.config = config
        self.velocity = _field(config)

    @cached_property
    def prior(self) -> Prior:
        """The prior of m."""
        source = self.config.source
        parts: list[Prior] = [self.velocity.prior]
        if source.amplitude_std > 0:
            words = {"units": self.config.units.u, "long_name": "amplitude of the wavelet"}
            median, std = source.amplitude, source.amplitude_std
            parts.append(lognormal("amplitude", median=median, std=std, **words))
        if source.shift_std > 0:
            words = {"units": "s", "long_name": "shift of the wavelet in time"}
            parts.append(normal("shift", std=source.shift_std, **words))
        if self._free is not None:
            parts.append(self._free.prior)
        return product(*parts)

    @property
    def size(self) -> int:
        """Numbers of the velocity, which come first in m."""
        return self.velocity.prior.space.size

    @cached_property
    def _free(self) -> FreeWavelet | None:
        source = self.config.source
        return FreeWavelet(source, self.config.units.u) if source.free else None

    def _numbers(self, m: Array) -> tuple[float, float]:
        """Amplitude and shift."""
        source, rest = self.config.source, m[self.size :]
        amplitude = float(rest[0]) if source.amplitude_std > 0 else source.amplitude
        return amplitude, float(rest[-1]) if source.shift_std > 0 else 0.0

    def wavelet(self, m: Array, pulse: Pulse, steps: int) -> Array:
        """What goes in at each step, shape (steps,)."""
        if self._free is not None:
            return self._free(m[self.size :], pulse.times(steps))
        amplitude, shift = self._numbers(m)
        return amplitude * pulse(steps, shift)

    def change(self, m: Array, dm: Array, pulse: Pulse, steps: int) -> Array:
        """Its change along dm."""
        source, step = self.config.source, dm[self.size :]
        if self._free is not None:
            return self._free.change(step, pulse.times(steps))
        amplitude, shift = self._numbers(m)
        more = float(step[0]) if source.amplitude_std > 0 else 0.0
        later = float(step[-1]) if source.shift_std > 0 else 0.0
        return more * pulse(steps, shift) + amplitude * later * pulse.slope(steps, shift)

    def gradient(self, m: Array, velocity: Array, on_wavelet: Array, pulse: Pulse) -> Array:
        """Derivatives by the velocity's part of m and by the wavelet (steps,) as one by m."""
        source, steps = self.config.source, len(on_wavelet)
        if self._free is not None:
            return np.append(velocity, self._free.gradient(on_wavelet, pulse.times(steps)))
        amplitude, shift = self._numbers(m)
        more = float(on_wavelet @ pulse(steps, shift))
        later = amplitude * float(on_wavelet @ pulse.slope(steps, shift))
        known = ((source.amplitude_std, more), (source.shift_std, later))
        return np.append(velocity, [d for std, d in known if std > 0])

    def medium(self, nodes: Nodes) -> Medium:
        """The velocity's part of m to slowness squared at the nodes."""
        kind, ends = self.config.unknown, [e for _, e in nodes.patches]
        if isinstance(kind, LayersConfig):
            return Layers(ends[1], len(ends[0]) - 1, len(kind.velocities))
        if isinstance(kind, VelocityCellsConfig | UniformConfig):
            counts = kind.cells or (1, 1)
            edges = [
                np.linspace(0.0, length, n + 1)
                for length, n in zip(self.config.lengths, counts, strict=True)
            ]
            return OnCells.of((ends[0], ends[1]), (edges[0], edges[1]))
        return AtNodes(self.velocity.at(self.inside(nodes.points)))

    def inside(self, points: Array) -> Array:
        """The nearest points of the rectangle."""
        return np.clip(points, 0.0, self.config.lengths)

    def matrix(self, points: Array) -> Any:
        """P with v(points) = P m, sparse.

        Raises:
            CapabilityError: layers are no field.
        """
        found = self.velocity.matrix(points)
        rest = self.prior.space.size - found.shape[1]
        return sparse.hstack([found, sparse.csr_array((found.shape[0], rest))], format="csr")

    def at(self, points: Array, m: Array) -> Array:
        """v at points (n, 2) of the rectangle."""
        kind, own = self.config.unknown, m[: self.size]
        if isinstance(kind, LayersConfig):
            depths = np.cumsum(own[: len(kind.thicknesses)])
            return own[len(kind.thicknesses) :][np.searchsorted(depths, points[:, 1])]
        return np.broadcast_to(self.velocity.at(points)(own), len(points))


def _field(config: SeismicConfig) -> FieldUnknown:
    kind = config.unknown
    if isinstance(kind, LayersConfig):
        return FieldUnknown.of_numbers("layers", _layers(kind))
    if isinstance(kind, BoundedConfig):
        return _bounded(kind, config)
    if isinstance(kind, FamilyConfig):
        return _drawn(kind, config)
    return _downwards(FieldUnknown.of(kind, config.extent, _LABELS))


def _downwards(found: FieldUnknown) -> FieldUnknown:
    """The field with y as a depth."""
    prior, variable = found.prior, found.variable
    assert isinstance(prior, FieldPrior)
    if "y" not in variable.coords:
        return found
    return replace(found, prior=replace(prior, space=Space((_deep(variable),))))


def _deep(variable: Variable) -> Variable:
    """With y as a depth."""
    attrs = {**variable.coord_attrs, "y": {**variable.coord_attrs["y"], **DEPTH}}
    return replace(variable, coord_attrs=attrs)


def _layers(kind: LayersConfig) -> Prior:
    thickness = lognormal(
        "thickness",
        median=kind.thicknesses,
        std=kind.thickness_std,
        units="m",
        long_name="thickness of the layer",
    )
    velocity = lognormal(
        "velocity",
        median=kind.velocities,
        std=kind.velocity_std,
        units="m s-1",
        long_name="velocity of the layer",
    )
    return product(thickness, velocity)


def _bounded(kind: BoundedConfig, config: SeismicConfig) -> FieldUnknown:
    """The Gaussian field, each of whose numbers the law of its own takes to the interval."""
    words = kind.model_dump(exclude={"kind", "low", "high", "background", "top_std"})
    found = _downwards(FieldUnknown.of(GaussianConfig(**words), config.extent, _LABELS))
    prior = found.prior
    assert isinstance(prior, FieldPrior)
    low, high = (np.full(prior.space.size, end) for end in (kind.low, kind.high))
    places = prior.space.variables[0].places
    field = deepening(about(prior.field, kind, places), kind, places)
    bounded = FieldPrior(prior.space, field, Interval(low, high))
    return replace(found, kind="bounded", prior=bounded)


def _drawn(kind: FamilyConfig, config: SeismicConfig) -> FieldUnknown:
    """A section of a family, linear between the nodes of its grid."""
    if kind.family in STYLES:
        style = STYLES[kind.family].field(config.lengths[1])
        same = {"low": kind.low, "high": kind.high, "grid": kind.grid}
        return _bounded(BoundedConfig(**style, **same), config)
    grid = RegularGrid(config.extent, kind.grid)
    variable = _deep(grid.variable(_LABELS.name, _LABELS.units, _LABELS.long_name, _LABELS.length))
    prior = FamilyPrior(Space((variable,)), grid, FAMILIES[kind.family], (kind.low, kind.high))
    return FieldUnknown("family", prior, lambda p: Affine(multilinear(grid.axes, p)))
