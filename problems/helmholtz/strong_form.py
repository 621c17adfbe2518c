"""Waves as residuals at points: ∇²u + k²(1 + q)u = −k² q u_inc, real and imaginary parts apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.bayes.prior import sample
from pdeinv.errors import ConfigError
from pdeinv.fem.mesh import SIDES
from pdeinv.fem.strong_diffusion import rms, samples
from pdeinv.model.sensors import points_of
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

from .config import Impedance, Pml
from .incident import count, measured, waves
from .receivers import Rows, outward, places_of, rows_of

if TYPE_CHECKING:
    from .problem import Helmholtz

__all__ = ["strong_form"]


def strong_form(problem: Helmholtz) -> StrongForm:
    """The strong form between walls, or with ∂u/∂n = iku on the sides.

    Raises:
        ConfigError: waves leave through a PML, or far fields or integrals are measured.
    """
    config = problem.config
    if isinstance(config.truncation, Pml):
        raise ConfigError(
            "the strong form has no absorbing layer; set truncation.kind to 'dirichlet' or "
            "'impedance', or use a finite-element method"
        )
    if config.measure == "far-field" or config.receivers == "integrate":
        raise ConfigError(
            "the strong form measures u or ∂u/∂n at places; set measure to 'field' or "
            "'normal-derivative' and receivers to 'interpolate'"
        )
    return _Form(problem).build()


@dataclass(frozen=True)
class _Form:
    """The parts of the strong form; outputs run over frequency, source and component."""

    problem: Helmholtz

    @cached_property
    def _source(self) -> bool:
        return self.problem.config.quantity == "source"

    @cached_property
    def _parts(self) -> int:
        """Components of a wave: one where it is real."""
        return 1 if self.problem.config.static else 2

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        config = self.problem.config
        if config.static:
            return ("u",)
        n = count(config)
        return tuple(
            f"u_{part}[{f}, {s}]"
            for f in range(len(config.ks))
            for s in range(n)
            for part in ("re", "im")
        )

    @cached_property
    def k(self) -> Array:
        """The wave number of each output, shape (1, outputs)."""
        each = len(self.outputs) // len(self.problem.config.ks)
        return np.repeat(np.asarray(self.problem.config.ks), each)[None]

    @cached_property
    def box(self) -> Box:
        return tuple((0.0, float(length)) for length in self.problem.config.lengths)

    def build(self) -> StrongForm:
        sides = [box_side(SIDES, s) for s in SIDES]
        free = isinstance(self.problem.config.truncation, Impedance)
        return StrongForm(
            axes=("x", "y"),
            box=self.box,
            outputs=self.outputs,
            scale=self.scale,
            curved=(0, 1),
            interior=Equation(self._balance, self._inside, self.size),
            held={} if free else dict.fromkeys(sides, self._zero),
            soft={s: self._leaving(s) for s in sides} if free else {},
            sensing=self._sensing,
            fields=("u",) if self._parts == 1 else ("u_re", "u_im"),
            nodes=lambda level: self.problem.domain.space(level).points,
            dataset=self._dataset,
        )

    def _zero(self, points: Any) -> Any:
        return points[:, :1] * points.new_zeros(1, len(self.outputs))

    @cached_property
    def _typical(self) -> float:
        """The rms of contrast or source over prior draws."""
        prior, points = self.problem.prior(), samples(self.box)
        values = self.problem.coefficient_at(points)
        return rms(np.stack([values(m) for m in sample(prior, np.random.default_rng(0), 16)]))

    @cached_property
    def scale(self) -> float:
        """The typical wave: of a source, or scattered but no larger than the incident one."""
        length2 = sum((b - a) ** -2 for a, b in self.box) ** -1
        k2 = float(np.max(self.k)) ** 2
        if self._source:
            return self._typical * length2 / (np.pi**2) or 1.0
        return min(1.0, k2 * self._typical * length2) or 1.0

    @cached_property
    def size(self) -> float:
        """The typical size of the terms of the equation."""
        k2 = float(np.max(self.k)) ** 2
        return max(self._typical if self._source else k2 * self._typical, k2 * self.scale)

    def _balance(self, u: Derivatives, c: Mapping[str, Any]) -> Any:
        laplacian = u.second(0) + u.second(1)
        if self._source:
            return laplacian + c["k2"] * u.value - c["q"] * c["real"]
        return laplacian + c["k2"] * ((1 + c["q"]) * u.value + c["q"] * c["incident"])

    def _inside(self, points: Array) -> Coefficients:
        found: dict[str, Any] = {"k2": self.k**2, "q": self.problem.coefficient_at(points)}
        if self._source:
            return {**found, "real": self._real}
        return {**found, "incident": self._incident(points)}

    @cached_property
    def _real(self) -> Array:
        """One for outputs that are real parts."""
        real = np.arange(len(self.outputs)) % self._parts == 0
        return np.asarray(real[None], dtype=np.float64)

    def _incident(self, points: Array) -> Array:
        config = self.problem.config
        found = [_split(waves(config, k, points)) for k in config.ks]
        return np.concatenate(found, axis=1)

    def _leaving(self, side: Side) -> Equation:
        """∂u/∂n − iku."""
        turned = np.arange(len(self.outputs)).reshape(-1, 2)[:, ::-1].ravel()
        sign = np.tile([-1.0, 1.0], len(self.outputs) // 2)[None]

        def residual(u: Derivatives, c: Mapping[str, Any]) -> Any:
            return side.outward * u.first(side.axis) - c["turn"] * u.value[:, turned]

        size = max(float(np.max(self.k)), 1.0) * self.scale
        return Equation(residual, lambda _: {"turn": self.k * sign}, size)

    def _sensing(self, sensors: Mapping[str, Array]) -> tuple[Array, Callable[[Derivatives], Any]]:
        config = self.problem.config
        where = points_of(sensors, places_of(config))
        row, column = np.arange(len(where)), np.zeros(len(where), dtype=np.int64)
        n = count(config)
        for i, rows in rows_of(config, sensors).items():
            column[rows.index] = (i * n + rows.picked.column) * self._parts + rows.picked.imaginary
        sloped = config.measure == "normal-derivative"
        normal = outward(config, where) if sloped else np.zeros((len(where), 2))
        offset = self._measured_incident(where, sensors) if config.total else np.zeros(len(where))

        def observe(u: Derivatives) -> Any:
            value = u.value
            if sloped:
                along = value.new_tensor(normal)
                value = along[:, :1] * u.first(0) + along[:, 1:] * u.first(1)
            return value[row, column] + value.new_tensor(offset)

        return where, observe

    def _measured_incident(self, where: Array, sensors: Mapping[str, Array]) -> Array:
        """What the incident wave adds to each datum of a total wave."""
        config, data = self.problem.config, np.zeros(len(where))
        bands: Mapping[int, Rows] = rows_of(config, sensors)
        for i, rows in bands.items():
            k = config.ks[i]
            normal = None if config.measure == "field" else outward(config, rows.where)
            data[rows.index] = rows.picked.take(measured(config, k, rows.where, normal))
        return data

    def _dataset(self, m: Array, u: Array, level: int) -> xr.Dataset:
        config = self.problem.config
        if config.static:
            found = u.T[None].astype(np.complex128)
        else:
            parts = u.reshape(len(u), len(config.ks), count(config), 2)
            found = (parts[..., 0] + 1j * parts[..., 1]).transpose(1, 2, 0)
        return self.problem.dataset(m, found, level)


def _split(waves: Any) -> Array:
    """Complex (n, s) to real (n, 2s), real and imaginary parts side by side."""
    return np.stack([waves.real, waves.imag], axis=2).reshape(len(waves), -1)
