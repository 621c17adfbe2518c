"""Truths that no model of pdeinv can repeat: linear elements, marched explicitly.

The elements are those of ``problems/tumor/elements``, on voxels of a third of a data voxel, their
matrix written down (:func:`conductances`); :func:`check` compares it with that of dolfinx.
Diffusion takes Heun's method (second order in time, positive as long as its substeps are short
enough, which they are), where the models that invert take implicit Euler steps of first order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy import sparse

from pdeinv.model.observed import Sensors
from pdeinv.problems.tumor import Tumor, TumorConfig
from pdeinv.problems.tumor.clock import Clock
from pdeinv.problems.tumor.elements import ElementDiffusion
from pdeinv.problems.tumor.grids import Voxels, voxels
from pdeinv.problems.tumor.model import Discretisation, TumorModel, history
from pdeinv.problems.tumor.reads import Reads
from pdeinv.problems.tumor.scans import seen_of
from pdeinv.typing import Array

__all__ = ["Heun", "Truth", "check", "conductances"]


def conductances(cut: Voxels) -> tuple[Any, Array]:
    """K (CSR) and the lumped mass of linear elements on cubes cut along Kuhn's paths.

    Of an edge of a cube along an axis, 2/6 of D h where its other two coordinates in the cube are
    equal, else 1/6; diagonals have none. The first and the last corner of a cube hold a quarter of
    its mass, the others a twelfth.
    """
    corners, inside = cut.corners, cut.centres.active
    h = cut.centres.spacing[0]
    d = np.zeros(inside.shape)
    d[inside] = cut.diffusivity
    mass, rows, columns, values = np.zeros(corners.active.shape), [], [], []
    shape = inside.shape
    for offset in product((0, 1), repeat=3):
        part = tuple(slice(o, o + n) for o, n in zip(offset, shape, strict=True))
        mass[part] += inside * h**3 * (1 / 4 if sum(offset) in (0, 3) else 1 / 12)
    for axis in range(3):
        along = np.zeros([n + (k != axis) for k, n in enumerate(shape)])
        for one, two in product((0, 1), repeat=2):
            offset = [one, two]
            offset.insert(axis, 0)
            part = tuple(slice(o, o + n) for o, n in zip(offset, shape, strict=True))
            along[part] += d * h * (2 if one == two else 1) / 6
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(0, -1), slice(1, None)
        joined = along > 0
        rows.append(corners.number[tuple(low)][joined])
        columns.append(corners.number[tuple(high)][joined])
        values.append(along[joined])
    i, j, w = (np.concatenate(x) for x in (rows, columns, values))
    n = corners.size
    sums = np.bincount(i, w, n) + np.bincount(j, w, n)
    of = (
        np.concatenate([-w, -w, sums]),
        (
            np.concatenate([i, j, np.arange(n)]),
            np.concatenate([j, i, np.arange(n)]),
        ),
    )
    return sparse.csr_array(of, shape=(n, n)), mass[corners.active]


def check(cut: Voxels) -> float:
    """The largest difference from the matrices of dolfinx, in parts of the largest entry."""
    (k, mass), other = conductances(cut), ElementDiffusion(cut)
    stiff = abs(k - other.stiffness).max() / abs(k).max()
    return float(max(stiff, np.abs(mass - other.mass).max() / mass.max()))


@dataclass(frozen=True)
class _Steps:
    """c + x + x²/2 times itself, x = −a M⁻¹ K c / substeps."""

    change: Any
    substeps: int

    def solve(self, c: Array) -> Array:
        for _ in range(self.substeps):
            once = c + self.change @ c
            # ½ c + ½ (I + x)² c, which is positive where I + x is
            c = 0.5 * (c + once + self.change @ once)
        return c


class Heun:
    """Diffusion on the corners of voxels; a truth needs no derivatives."""

    def __init__(self, cut: Voxels) -> None:
        k, mass = conductances(cut)
        scale: Any = sparse.diags_array(1 / mass)
        self._k = sparse.csr_array(scale @ k)
        self._most = float(self._k.diagonal().max())

    def stages(self, a: Array) -> tuple[Sequence[_Steps], Sequence[_Steps]]:
        """One, made of as many substeps as positivity takes."""
        substeps = max(1, int(np.ceil(float(a[0]) * self._most)))
        found = (_Steps(self._k * (-float(a[0]) / substeps), substeps),)
        return found, found


class Truth:
    """The equation of a problem, solved so.

    Args:
        config: with the voxels to solve on.
    """

    def __init__(self, config: TumorConfig) -> None:
        self.problem = Tumor(config)
        cut = voxels(config, self.problem.tissue, 0)
        self.on = Discretisation(config, 0, cut.corners, Heun(cut), Clock.of(config, 0))

    def model(self, sensors: Sensors) -> TumorModel:
        """Without derivatives."""
        reads = Reads.of(self.on.lattice, self.on.clock, sensors, self.on.config.voxel)
        space = self.problem.observed.space(sensors)
        seen = seen_of(self.on.config, reads, sensors)
        return TumorModel((self.problem.prior().space, space), self.on, seen)

    def state(self, m: Array) -> Array:
        """c of the last scan at the nodes."""
        return history(self.on, m)[1][-1]

    def averages(self, state: Array, points: Array) -> Array:
        """Those of a state over the data voxels around points (n, d)."""
        return np.asarray(self.on.lattice.averages(points, self.on.config.voxel) @ state)
