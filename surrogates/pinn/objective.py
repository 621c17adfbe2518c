"""What a physics-informed network minimises: residuals and, to invert, misfit and prior cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.prior import Prior
from pdeinv.errors import CapabilityError
from pdeinv.model.coefficient import Coefficient
from pdeinv.model.strong_form import Coefficients, Equation, Side, StrongForm
from pdeinv.typing import Array

from ..common.torch_env import torch
from .ansatz import Ansatz, Frame
from .config import PinnConfig
from .network import Jets, Network, Trace, part_of
from .numbers import values_of

__all__ = [
    "Inference",
    "Objective",
    "Part",
    "Unwhitened",
    "inside",
    "on_side",
    "tensors",
    "through",
]


def inside(form: StrongForm, n: int, rng: np.random.Generator, m: Array | None = None) -> Array:
    """Scrambled Sobol points in the box, or where u of ``m`` has to be learned, shape (n, d)."""
    low, high = np.array(part_of(form, m)).T
    return np.asarray(low + (high - low) * _sobol(form.dim, n, rng))


def _spread(form: StrongForm, n: int, rng: np.random.Generator, m: Array | None = None) -> Array:
    """Such points where the equation inside is asked for, denser where the form says so."""
    if form.spread is None:
        return inside(form, n, rng, m)
    return form.spread(_sobol(form.dim, n, rng))


def on_side(
    form: StrongForm, side: Side, n: int, rng: np.random.Generator, m: Array | None = None
) -> Array:
    """The same on one face."""
    points = inside(form, n, rng, m)
    points[:, side.axis] = form.box[side.axis][side.end]
    return points


def _sobol(d: int, n: int, rng: np.random.Generator) -> Array:
    """The first n points of the power of two that holds them, so that the set stays balanced."""
    from scipy.stats import qmc

    # a number, because a generator would be spawned from, which its saved state does not hold
    sampler = qmc.Sobol(d, rng=int(rng.integers(2**32)))
    return np.asarray(sampler.random_base2(int(np.ceil(np.log2(n))))[:n])


def through(coefficient: Coefficient, m: Any, mode: Any) -> Any:
    """The coefficient as a tensor function of the tensor m, by its own adjoint."""

    class Through(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, m: Any) -> Any:
            ctx.m = m.detach().cpu().numpy().astype(np.float64)
            return torch.as_tensor(coefficient(ctx.m), dtype=mode)

        @staticmethod
        def backward(ctx: Any, w: Any) -> Any:
            back = coefficient.vjp(ctx.m, w.detach().cpu().numpy().astype(np.float64))
            return torch.as_tensor(back, dtype=mode)

    return Through.apply(m)


def tensors(found: Coefficients, m: Any, dtype: Any) -> Mapping[str, Any]:
    """Every coefficient as a tensor (n, 1) or (n, outputs); those that are known do not see m."""
    out = {}
    for name, c in found.items():
        if isinstance(c, np.ndarray):
            value = torch.as_tensor(c, dtype=dtype)
        else:
            value = through(c, m, dtype)
        out[name] = value[:, None] if value.ndim == 1 else value
    return out


@dataclass(frozen=True)
class Unwhitened:
    """The prior's map xi to m as a coefficient."""

    prior: Prior

    def __call__(self, xi: Array) -> Array:
        """m(xi)."""
        return self.prior.unwhiten(xi)

    def jvp(self, xi: Array, dxi: Array) -> Array:
        """dm(xi)[dxi]."""
        return self.prior.unwhiten_jvp(xi, dxi)

    def vjp(self, xi: Array, w: Array) -> Array:
        """dm(xi)^T w."""
        return self.prior.unwhiten_vjp(xi, w)


@dataclass(frozen=True)
class Inference:
    """What an inversion adds.

    Attributes:
        prior: of the unknown.
        sensors: where the data are.
        data: y.
        noise: of y.
    """

    prior: Prior
    sensors: Mapping[str, Array]
    data: Array
    noise: Noise


@dataclass(frozen=True)
class Part:
    """One equation on its collocation points."""

    equation: Equation
    points: Any
    frame: Frame
    coefficients: Coefficients


class Objective:
    """Mean squared residuals of all equations at given weights of the network and given m.

    The variable z is θ, the network's weights, followed by ν, the form's numbers free of their
    bounds, and by xi where the unknown is sought.

    Args:
        form: the strong form.
        config: network and points.
        net: the network.
        m: the unknown, where it is known.
        inference: data and prior, where it is sought.
    """

    def __init__(
        self,
        form: StrongForm,
        config: PinnConfig,
        net: Network,
        m: Array | None = None,
        inference: Inference | None = None,
    ) -> None:
        self.form, self.config, self.net = form, config, net
        self.dtype = getattr(torch, config.dtype)
        self.ansatz = Ansatz(form)
        self._m, self.inference = m, inference
        if inference is not None:
            points, self._observe = form.sensing(inference.sensors)
            self.beside = {} if form.beside is None else form.beside(inference.sensors)
            self._sensed = torch.as_tensor(points, dtype=self.dtype)
            self._sensed_frame = self.ansatz.frame(points, self.dtype)
            self._whiten = _whitening(inference.noise, self.dtype)
            self._data = torch.as_tensor(inference.data, dtype=self.dtype)
            self._unwhiten = Unwhitened(inference.prior)

    @property
    def n_solution(self) -> int:
        """How much of z is the solution: θ and ν."""
        return self.net.n_weights + len(self.form.numbers)

    @property
    def size(self) -> int:
        """The length of z."""
        dim = 0 if self.inference is None else self.inference.prior.dim
        return self.n_solution + dim

    def collocate(self, rng: np.random.Generator, z: Array) -> list[Part]:
        """Fresh points for the equation inside and for the one on each soft face, at z."""
        form, config, m = self.form, self.config, self._m
        if self.inference is not None:
            m = self.inference.prior.unwhiten(z[self.n_solution :])
        parts = [self._part(form.interior, _spread(form, config.points, rng, m))]
        for side, equation in form.soft.items():
            n = config.side_points if form.dim > 1 else 1  # a side of an interval is one point
            parts.append(self._part(equation, on_side(form, side, n, rng, m)))
        return parts

    def _part(self, equation: Equation, points: Array) -> Part:
        found = equation.coefficients(points)
        if self._m is not None:
            found = {k: c if isinstance(c, np.ndarray) else c(self._m) for k, c in found.items()}
        frame = self.ansatz.frame(points, self.dtype)
        return Part(equation, torch.as_tensor(points, dtype=self.dtype), frame, found)

    def solution(self, z: Any, points: Any, frame: Frame) -> Jets:
        """u with its derivatives, and the numbers."""
        return frame(self.net(z[: self.net.n_weights], points), self.numbers(z))

    def numbers(self, z: Any) -> dict[str, Any]:
        """The numbers that are solved for beside u, each (1, 1)."""
        return values_of(self.form.numbers, z[self.net.n_weights : self.n_solution])

    def numbers_at(self, z: Array) -> dict[str, float]:
        """The same of a plain z."""
        found = self.numbers(torch.as_tensor(z, dtype=self.dtype))
        return {name: float(value) for name, value in found.items()}

    def unknown(self, z: Any) -> Any:
        """m as a tensor, or None where it is known."""
        if self.inference is None:
            return None
        return through(self._unwhiten, z[self.n_solution :], self.dtype)

    def mean_squares(self, z: Any, parts: list[Part]) -> list[Any]:
        """The mean square of each equation's residual in units of its terms."""
        m = self.unknown(z)
        out = []
        for part in parts:
            u = self.solution(z, part.points, part.frame)
            residual = part.equation.residual(u, tensors(part.coefficients, m, self.dtype))
            out.append((residual / part.equation.scale).square().mean())
        return out

    def prediction(self, theta: Any, numbers: Mapping[str, Any], trace: Trace | None = None) -> Any:
        """What the network and the numbers say that the sensors measure, (n_d,).

        The numbers are those of the form, and what data read of the unknown itself.
        """
        net = self.net(theta, self._sensed, trace)
        return self._observe(self._sensed_frame(net, numbers))

    def evidence(self, z: Any) -> tuple[Any, Any]:
        """Φ of the network's prediction, and the prior cost R of xi."""
        read = tensors(self.beside, self.unknown(z), self.dtype)
        found = self.prediction(z[: self.net.n_weights], {**self.numbers(z), **read})
        white, xi = self._whiten(found - self._data), z[self.n_solution :]
        return 0.5 * white.square().sum(), 0.5 * xi.square().sum()

    def total(self, z: Any, parts: list[Part], weights: Array, penalty: float) -> Any:
        """Σ w_k L_k, or Φ + R + penalty Σ w_k L_k where the unknown is sought."""
        physics = sum(
            float(w) * value for w, value in zip(weights, self.mean_squares(z, parts), strict=True)
        )
        if self.inference is None:
            return physics
        misfit, cost = self.evidence(z)
        return misfit + cost + penalty * physics

    def value(self, z: Array, parts: list[Part], weights: Array, penalty: float) -> float:
        """The total of plain numbers."""
        with torch.no_grad():
            at = torch.as_tensor(z, dtype=self.dtype)
            return float(self.total(at, parts, weights, penalty))

    def evaluate(self, z: Array, points: Array, batch: int = 8192) -> Array:
        """u at points (n, d), shape (n, outputs)."""
        at = torch.as_tensor(z, dtype=self.dtype)
        found = []
        with torch.no_grad():
            for start in range(0, len(points), batch):
                some = points[start : start + batch]
                with torch.enable_grad():
                    frame = self.ansatz.frame(some, self.dtype)
                u = self.solution(at, torch.as_tensor(some, dtype=self.dtype), frame)
                found.append(u.value.numpy().astype(np.float64))
        return np.concatenate(found)


def _whitening(noise: Noise, dtype: Any) -> Callable[[Any], Any]:
    """Γ^(-1/2) on a tensor.

    Raises:
        CapabilityError: the noise is correlated along traces.
    """
    if noise.along is not None:
        raise CapabilityError(
            "engine 'pinn' takes data with least squares of all frequencies; leave out the misfit "
            "of traces"
        )
    if noise.covariance is None:
        std = torch.as_tensor(noise.std, dtype=dtype)
        return lambda r: r / std
    root = torch.as_tensor(noise.root, dtype=dtype)
    return lambda r: torch.linalg.solve_triangular(root, r[:, None], upper=False)[:, 0]
