"""White and grey matter: an analytic brain by smooth formulas, white matter everywhere, or images.

The brain is an ellipsoid with a folded ribbon of grey matter, two lateral ventricles, deep grey
nuclei and a falx between the hemispheres. It is a shape to test methods on and nobody's anatomy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from pdeinv.rng import stream
from pdeinv.typing import Array

from .config import NiftiConfig, PhantomConfig, TumorConfig
from .lattice import Lattice
from .maps import read_maps

__all__ = ["Phantom", "Tissue", "tissue_of"]


class Tissue(Protocol):
    """The parts of white and of grey matter in the box."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of where it comes from, one line each."""

    def __call__(self, points: Array) -> tuple[Array, Array]:
        """At points (n, d), (n,) each."""

    def over(self, axes: tuple[Array, ...]) -> tuple[Array, Array]:
        """In all voxels with their middles on ``axes``, equally spaced along x, y, z, x fastest."""


_BLUR = 0.8
"""Over how many mm tissues pass into each other."""

_VENTRICLE, _NUCLEUS = (26.0, 5.0, 9.0), (17.0, 9.0, 11.0)
"""Half lengths in mm."""


@dataclass(frozen=True)
class _Form:
    """What sets the shapes of one law apart from those of another.

    Attributes:
        exponent: of the superellipsoid that bounds the brain; 2 is an ellipsoid.
        taper: how much narrower, in parts, the brain is at its front end than in the middle.
        waves: folds around, and across.
        apart: distance of the ventricles' middles from the midline, mm.
        bend: away from it, 1/mm.
    """

    exponent: float = 2.0
    taper: float = 0.0
    waves: tuple[float, float] = (22.0, 11.0)
    apart: float = 9.0
    bend: float = 0.008


@dataclass(frozen=True)
class Smooth:
    """Tissue by formulas, whose averages over voxels are its values in their middles.

    Attributes:
        fractions: points (n, d) to the parts of white and grey matter.
        notes: none.
    """

    fractions: Callable[[Array], tuple[Array, Array]]
    notes: tuple[str, ...] = ()

    def __call__(self, points: Array) -> tuple[Array, Array]:
        """The parts at points."""
        return self.fractions(points)

    def over(self, axes: tuple[Array, ...]) -> tuple[Array, Array]:
        """The parts in voxels."""
        every = Lattice(axes, np.ones([len(a) for a in axes[::-1]], dtype=np.bool_))
        return self.fractions(every.points)


def tissue_of(config: TumorConfig) -> Tissue:
    """The tissue that a configuration describes.

    Raises:
        DataSchemaError: an image that cannot be used.
        MissingDependency: it is an image, and nibabel is not installed.
    """
    if isinstance(config.tissue, NiftiConfig):
        return read_maps(config, config.tissue)
    if not isinstance(config.tissue, PhantomConfig):
        return Smooth(_white)
    centre = np.array(config.lengths) / 2
    shape = Phantom.of(config.tissue)

    def fractions(points: Array) -> tuple[Array, Array]:
        solid = np.zeros((len(points), 3))
        solid[:, : len(centre)] = points - centre
        return shape.fractions(solid)

    return Smooth(fractions)


def _white(points: Array) -> tuple[Array, Array]:
    return np.ones(len(points)), np.zeros(len(points))


@dataclass(frozen=True)
class Phantom:
    """The brain around the origin, x from back to front, y from right to left, in mm.

    Attributes:
        semi_axes: of the brain.
        ribbon: depth of the grey matter.
        folds: amplitude of its inner folds.
        phases: of the folds around and across.
        ventricles: factor on the size of each ventricle.
        form: the rest of the shape.
    """

    semi_axes: tuple[float, float, float]
    ribbon: float
    folds: float
    phases: tuple[float, float] = (0.0, 0.0)
    ventricles: tuple[float, float] = (1.0, 1.0)
    form: _Form = _Form()

    @classmethod
    def of(cls, config: PhantomConfig) -> Phantom:
        """That of a configuration, varied where a patient is given."""
        size = config.ventricles
        usual = cls(config.semi_axes, config.ribbon, config.folds, ventricles=(size, size))
        if config.patient is None:
            return usual
        return usual.egg(config.patient) if config.law == "egg" else usual.varied(config.patient)

    def varied(self, patient: int) -> Phantom:
        """A made-up patient: 5 % in the axes, 10 % in the ribbon, 20 % in the ventricles."""
        rng = stream(patient, "tumor phantom")
        a, b, c = np.array(self.semi_axes) * np.exp(0.05 * rng.standard_normal(3))
        around, across = rng.uniform(0, 2 * np.pi, 2)
        right, left = np.array(self.ventricles) * np.exp(0.2 * rng.standard_normal(2))
        return replace(
            self,
            semi_axes=(float(a), float(b), float(c)),
            ribbon=self.ribbon * float(np.exp(0.1 * rng.standard_normal())),
            phases=(float(around), float(across)),
            ventricles=(float(right), float(left)),
        )

    def egg(self, patient: int) -> Phantom:
        """A made-up patient of another law, which no ellipsoid of :meth:`varied` comes near.

        The brain is a tapered superellipsoid with 12 % in its axes, a ribbon of another depth,
        fewer folds at frequencies of their own, and ventricles 30 % wider, further apart and bent
        more.
        """
        rng = stream(patient, "tumor phantom, egg")
        axes = np.array(self.semi_axes) * rng.uniform(0.88, 1.12, 3)
        right, left = 1.3 * np.array(self.ventricles) * np.exp(0.25 * rng.standard_normal(2))
        low, high = np.array([[2.2, -0.2, 13, 6, 10, 0.010], [3.0, 0.2, 18, 9, 13, 0.014]])
        exponent, taper, around, across, apart, bend = rng.uniform(low, high)
        return replace(
            self,
            semi_axes=(float(axes[0]), float(axes[1]), float(axes[2])),
            ribbon=self.ribbon * float(rng.uniform(0.75, 1.25)),
            phases=(float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0, 2 * np.pi))),
            ventricles=(float(right), float(left)),
            # whole waves around, or they would not close
            form=_Form(exponent, taper, (round(around), across), apart, bend),
        )

    def fractions(self, p: Array) -> tuple[Array, Array]:
        """The parts of white and grey matter at points (n, 3); the rest is CSF or outside."""
        depth = self._inside(p)
        tissue = _step(depth) * (1 - np.maximum(self._ventricles(p), _falx(p)))
        inner = _step(depth - self.ribbon - self._fold(p)) * (1 - _nuclei(p))
        white = tissue * inner
        return white, tissue - white

    def _fold(self, p: Array) -> Array:
        x, y, z = (p / np.array(self.semi_axes)).T
        around, across = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
        (a, b), (n, m) = self.phases, self.form.waves
        return np.asarray(self.folds * np.cos(n * around + a) * np.cos(m * across + b))

    def _inside(self, p: Array) -> Array:
        """About how far points lie inside the brain."""
        form, long = self.form, self.semi_axes[0]
        if form.taper:
            narrower = 1 - form.taper * np.clip(p[:, :1] / long, -1.5, 1.5)
            p = np.concatenate([p[:, :1], p[:, 1:] / narrower], axis=1)
        return _depth(p, self.semi_axes, form.exponent)

    def _ventricles(self, p: Array) -> Array:
        x, y, z = p.T
        found = np.zeros(len(p))
        for side, size in zip((-1.0, 1.0), self.ventricles, strict=True):
            # they bend away from the midline towards their ends
            bent = side * y - self.form.apart - self.form.bend * x**2
            inside = _step(_depth(np.stack([x, bent, z], axis=1), np.array(_VENTRICLE) * size))
            found = np.maximum(found, inside)
        return found


def _falx(p: Array) -> Array:
    """A slab of CSF on the midline in front and behind; the corpus callosum joins between them.

    So thick that voxels of 4 mm do not leak.
    """
    return _step(2.4 - np.abs(p[:, 1])) * _step(np.abs(p[:, 0]) - 32.0)


def _nuclei(p: Array) -> Array:
    x, y, z = p.T
    return _step(_depth(np.stack([x, np.abs(y) - 24.0, z], axis=1), _NUCLEUS))


def _depth(p: Array, semi_axes: Array | tuple[float, float, float], exponent: float = 2.0) -> Array:
    """About how far points lie inside a superellipsoid, negative outside."""
    axes = np.asarray(semi_axes)
    away = np.linalg.norm(p / axes, axis=1, ord=None if exponent == 2 else exponent)
    return np.asarray((1 - away) * np.cbrt(axes.prod()))


def _step(depth: Array) -> Array:
    """From 0 to 1 around zero."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * depth / _BLUR)))
