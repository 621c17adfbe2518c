"""Another tumor than the one that is inverted: cells that grow or move, and leave necrosis behind.

    ∂P/∂t = ρ₁ P (1 − T) + k ((1 − g) M − g P) − λ [T > θ_N] P       cells that grow
    ∂M/∂t = ∇·(D₁∇M) − k ((1 − g) M − g P)                           cells that move
    ∂N/∂t = λ [T > θ_N] P                                            dead ones

with T = P + M + N and g = 0.3 + 0.4 T, the part that moves, which is larger where it is crowded.
Few cells spread as those of Fisher and Kolmogorov with D = 0.3 D₁ and ρ = 0.7 ρ₁; many do not.
White matter conducts ``ratio`` times as well as grey, another number for each patient than the 10
of the inversion, and along each axis by a factor exp(f_k) of its own, a diagonal tensor: f_k are
Gaussian fields with the standard deviation 0.7 and the length 20 mm. Growing and moving cells:
Pham, Chauviere, Hatzikirou et al. (2012).

Diffusion goes by implicit lines of voxels of 2 mm, the rest by explicit steps of half a day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pdeinv.problems.tumor import Tumor, TumorConfig
from pdeinv.problems.tumor.differences import LineDiffusion
from pdeinv.problems.tumor.grids import Voxels, voxels
from pdeinv.problems.tumor.lattice import Lattice
from pdeinv.problems.tumor.seed import Seed
from pdeinv.typing import Array

__all__ = ["Cells", "Grower", "resected"]

STEP, SWITCH, DEATH, CROWDED = 0.5, 0.1, 0.05, 0.75
"""Days of a step; k and λ, 1/d; θ_N."""
SPREAD, LENGTH = 0.7, 20.0
"""Of the fields f_k; mm."""


@dataclass(frozen=True)
class Cells:
    """P, M and N in voxels with tissue, (n,) each."""

    growing: Array
    moving: Array
    dead: Array

    @property
    def total(self) -> Array:
        """T."""
        return self.growing + self.moving + self.dead

    def picked(self, where: NDArray[np.bool_], factor: float = 1.0) -> Cells:
        """Those of some voxels, a part of those that live."""
        living = (factor * c[where] for c in (self.growing, self.moving))
        return Cells(*living, self.dead[where])


class Grower:
    """The equations in some voxels.

    Args:
        cut: the voxels.
        factors: exp(f_k) in them, (3, n).
        diffusivity: D that few cells spread with, mm²/d.
        rate: ρ that few cells grow with, 1/d.
    """

    def __init__(self, cut: Voxels, factors: Array, diffusivity: float, rate: float) -> None:
        self.cut, self.factors, self._d, self._rate = cut, factors, diffusivity, rate
        a = np.array([diffusivity / 0.3 * STEP])
        along = [
            LineDiffusion(Voxels(cut.centres, cut.diffusivity * f)).stages(a)[0][k]
            for k, f in enumerate(factors)
        ]
        self._stages = along, along[::-1]

    @classmethod
    def of(cls, config: TumorConfig, m: Array, rng: np.random.Generator) -> Grower:
        """For the tissue and ratio of a configuration, and a tensor."""
        cut = voxels(config, Tumor(config).tissue, 0)
        width = LENGTH / np.sqrt(2) / cut.centres.spacing[0]
        scale = SPREAD * (2 * np.sqrt(np.pi) * width) ** 1.5
        shape = cut.centres.active.shape
        fields = [
            gaussian_filter(rng.standard_normal(shape), width, mode="wrap", truncate=3.0)
            for _ in shape
        ]
        factors = np.exp(scale * np.stack([f[cut.centres.active] for f in fields]))
        return cls(cut, factors, float(m[0]), float(m[1]))

    def seeded(self, config: TumorConfig, place: Array) -> Cells:
        """The first cells."""
        c = Seed(self.cut.centres, config.seed)(place[:, None])[:, 0]
        return Cells(0.7 * c, 0.3 * c, np.zeros_like(c))

    def grown(
        self, cells: Cells, enough: Callable[[Array], bool], days: float
    ) -> tuple[Cells, float]:
        """Until T is enough, or for so many days; and how long it took."""
        for n in range(round(days / STEP)):
            if n % 4 == 0 and enough(cells.total):
                return cells, n * STEP
            cells = self._next(n, cells)
        return cells, days

    def _next(self, n: int, cells: Cells) -> Cells:
        p, m, total = cells.growing, cells.moving, cells.total
        part = 0.3 + 0.4 * np.clip(total, 0, 1)
        settled = STEP * SWITCH * ((1 - part) * m - part * p)
        lost = STEP * DEATH * np.where(total > CROWDED, p, 0.0)
        grown = STEP * self._rate / 0.7 * p * (1 - total)
        m = (m - settled)[:, None]
        for stage in self._stages[n % 2]:
            m = stage.solve(m)
        return Cells(p + grown + settled - lost, m[:, 0], cells.dead + lost)


def resected(
    grower: Grower, cells: Cells, cavity: NDArray[np.bool_], survival: float
) -> tuple[Grower, Cells]:
    """Without the tissue of a cavity, (n,), and with a part of the cells that lived elsewhere."""
    centres, left = grower.cut.centres, ~cavity
    active = centres.active.copy()
    active[centres.active] = left
    cut = Voxels(Lattice(centres.axes, active), grower.cut.diffusivity[left])
    after = Grower(cut, grower.factors[:, left], grower._d, grower._rate)
    return after, cells.picked(left, survival)
