"""Moving point sources: Gaussian bumps on straight paths."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pdeinv.fem.field_unknown import FieldUnknown
from pdeinv.fem.marching import Forcing
from pdeinv.typing import Array

from .discrete import HeatDiscretisation
from .entries import AdjointStep, Change, Entry
from .unknown_config import PointSourcesConfig

__all__ = ["PointSources"]


class PointSources(Entry):
    """q = q_known + Σ_i s_i φ_w(x − p_i − v_i t), φ_w the normal density of width w.

    m holds p (axis by axis), v where sources move, and s.
    """

    linear = False

    def __init__(self, discretisation: HeatDiscretisation, unknown: FieldUnknown) -> None:
        super().__init__(discretisation, unknown)
        config = discretisation.config.unknown
        assert isinstance(config, PointSourcesConfig)
        self._d, self._n = discretisation.space.mesh.dim, config.count
        self._width, self._moving = config.width, config.speed > 0
        self._volume = discretisation.system.volume

    def _split(self, m: Array) -> tuple[Array, Array, Array]:
        """Start (d, n), velocity (d, n) and strength (n,)."""
        rows = m.reshape(-1, self._n)
        d = self._d
        velocity = rows[d : 2 * d] if self._moving else np.zeros((d, self._n))
        return rows[:d], velocity, rows[-1]

    def _bumps(self, m: Array, n: int) -> tuple[Array, Array, Array]:
        """Offsets x − p − v t (q, d, n), densities (q, n) and strengths at time level ``n``."""
        start, velocity, strength = self._split(m)
        t = float(self.discretisation.times[n])
        offset = self._volume.points[:, :, None] - (start + t * velocity)
        w = self._width
        scale = (2 * np.pi * w**2) ** (-self._d / 2)
        return offset, scale * np.exp(-0.5 * np.sum(offset**2, axis=1) / w**2), strength

    def load(self, m: Array) -> Forcing:
        """The known load and that of the sources."""

        def own(n: int) -> Array:
            _, bump, strength = self._bumps(m, n)
            return np.asarray(self._volume.load @ (bump @ strength))

        return self.with_load(own)

    def change(self, m: Array, dm: Array) -> Change:
        """Σ_i ds_i φ + s_i φ (x − p − v t)·(dp + dv t)/w²."""
        dp, dv, ds = self._split(dm)

        def load(n: int) -> Array:
            offset, bump, strength = self._bumps(m, n)
            shift = dp + float(self.discretisation.times[n]) * dv
            moved = np.einsum("qdn,dn->qn", offset, shift) / self._width**2
            return np.asarray(self._volume.load @ np.sum(bump * (ds + strength * moved), axis=1))

        return Change(load=load)

    def gather(self, m: Array, steps: Iterable[AdjointStep]) -> Array:
        """The adjoint of :meth:`change`."""
        total = np.zeros(m.size)
        for step in steps:
            if step.load_adjoint is not None and step.load_adjoint.any():
                total += self._pull(m, step.n, step.load_adjoint)
        return total

    def _pull(self, m: Array, n: int, load_adjoint: Array) -> Array:
        """(dF^n/dm)^T μ^n, shape (n_m,)."""
        offset, bump, strength = self._bumps(m, n)
        weighted = bump * (self._volume.load.T @ load_adjoint)[:, None]
        along = np.einsum("qdn,qn->dn", offset, weighted) * strength / self._width**2
        t = float(self.discretisation.times[n])
        moving = [t * along] if self._moving else []
        return np.concatenate([along, *moving, weighted.sum(axis=0)[None]]).ravel()
