"""What a coarse model lacks: fine minus coarse, learned from few pairs in (xi, coarse data).

Independent of problems and of finite elements: arrays in, a differentiable map out. The stages are
a constant, a map that is linear in (z, z², coarse data) with z the standardised xi, and a smooth
part on top; each is kept only where it lowers the error on samples that it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from pydantic import Field

from pdeinv.model.forward import Linearization
from pdeinv.model.tangent import Tangent
from pdeinv.typing import Array

from ..common.lesson import LessonConfig
from ..common.mlp import Decoded, Mlp
from ..common.scaling import Pod, Standard
from ..common.storage import under, within
from .coarse_part import Factored, Whole, coarse_part, of_arrays
from .kernel_ridge import Affine, Grams, KernelFit, Radial, tune
from .pairs import Pairs
from .reach import Reach
from .residual import Sample, fit_residual, residual_network

__all__ = ["Discrepancy", "DiscrepancyConfig", "DiscrepancyPoint", "reach_of"]


DIGITS = 7
"""Decimals of coarse data, in standard deviations, and of differences, in noise, by which a kernel
is chosen. The search in flat valleys would amplify what lies below: rounding, which is another in
another unit or above another origin of the same data."""

FOLDS = 5
"""One of so many pairs judges a network."""


class DiscrepancyConfig(LessonConfig):
    """How the discrepancy is learned."""

    method: Literal["kernel", "network", "linear"] = Field(
        "kernel", description="affine part plus a smooth part by a kernel or a network, or alone"
    )
    tune_points: int = Field(600, ge=20, description="samples used to tune the kernel")
    tune_evaluations: int = Field(100, ge=1, description="trials of the kernel's parameters")
    max_points: int = Field(4000, ge=20, description="samples kept; time grows with their cube")
    tolerance: float = Field(1e-3, gt=0, description="rms truncation of the data, in units of σ")


@dataclass(frozen=True)
class DiscrepancyPoint:
    """D(xi, c) at one point, or at several, with its derivatives in both arguments.

    Attributes:
        value: shape (n_obs,) or (n, n_obs).
        jvp: (dxi, dc) to dD, of that shape.
        vjp: w to the adjoint actions (on xi, on c).
    """

    value: Array
    jvp: Callable[[Array, Array], Array]
    vjp: Callable[[Array], tuple[Array, Array]]


def _features(z: Array) -> Array:
    """z and z² - 1: the curvature of a discrepancy is mostly in single components."""
    return np.concatenate([z, z**2 - 1], axis=-1)


@dataclass(frozen=True)
class _Inputs:
    """Scaled inputs: x from xi, c from the coarse data's leading modes."""

    xi: Reach
    pod: Pod
    scale: float

    @classmethod
    def fit(cls, pairs: Pairs) -> _Inputs:
        weights = 1 / pairs.variance
        pod = Pod.fit(pairs.coarse, pairs.noise_std, 1e-6, max(1, pairs.size // 3), weights)
        leading = Standard.fit(pod.encode(pairs.coarse)[:, :1], weights)
        return cls(reach_of(pairs), pod, float(leading.std[0]))

    def c(self, coarse: Array) -> Array:
        return np.asarray(self.pod.encode(coarse) / self.scale)


@dataclass(frozen=True)
class Discrepancy:
    """D(xi, c) = A_x(z, z²) + A_c(c) + smooth(z), in the units of the data, z the scaled xi.

    Attributes:
        inputs: scaling of xi, level far from the samples.
        on_xi: affine in (z, z² - 1); carries the intercept.
        on_coarse: affine in the coarse data.
        smooth: the smooth part, or None.
        errors: rms error in units of σ on samples left out, by stage.
        n_pairs: how many pairs it was learned from.
    """

    inputs: Reach
    on_xi: Affine
    on_coarse: Whole | Factored
    smooth: Radial | Decoded | None
    errors: Mapping[str, float]
    n_pairs: int

    @property
    def rms(self) -> float:
        """The held-out rms error in units of σ."""
        return self.errors[self.stage]

    @property
    def stage(self) -> str:
        """The last stage that was kept."""
        return min(self.errors, key=lambda k: self.errors[k])

    @classmethod
    def fit(
        cls, pairs: Pairs, config: DiscrepancyConfig | None = None, seed: int = 0
    ) -> Discrepancy:
        """Learn from pairs; repeated points are used once.

        Args:
            pairs: where both models were solved.
            config: options.
            seed: root seed; a stream picks the samples where there are more than ``max_points``.

        Raises:
            DataSchemaError: fewer than 10 different finite pairs.
        """
        config = config or DiscrepancyConfig()
        pairs = pairs.chosen(config.max_points, seed)
        fitted = _fit(pairs, config)
        return _with_network(fitted, pairs, config, seed) if config.method == "network" else fitted

    def __call__(self, xi: Array, coarse: Array) -> Array:
        """D for (..., dim) and (..., n_obs)."""
        z = self.inputs(xi)
        value = self._affine(z, coarse)
        return value if self.smooth is None else value + self.smooth(z)

    def _affine(self, z: Array, coarse: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite has failed
            return np.asarray(self.on_xi(_features(z)) + self.on_coarse(coarse))

    def rows(self, xis: Array, coarse: Array) -> Array:
        """D (n, n_obs) for (n, dim) and (n, n_obs); see :meth:`linearize_rows`."""
        return self(xis[:, None], coarse[:, None])[:, 0]

    def linearize_rows(self, xis: Array, coarse: Array) -> DiscrepancyPoint:
        """D and its derivatives at each row of (n, dim) and (n, n_obs).

        They are a stack (n, 1, ·), each of which NumPy multiplies by itself: a row has the bits
        that it has alone.
        """
        at = self.linearize(xis[:, None], coarse[:, None])

        def vjp(ws: Array) -> tuple[Array, Array]:
            to_xi, to_coarse = at.vjp(ws[:, None])
            return to_xi[:, 0], to_coarse[:, 0]

        return DiscrepancyPoint(
            at.value[:, 0], lambda dxis, dcs: at.jvp(dxis[:, None], dcs[:, None])[:, 0], vjp
        )

    def linearize(self, xi: Array, coarse: Array) -> DiscrepancyPoint:
        """D and its derivatives at one point, or at a stack (n, 1, ·) of them."""
        z, slope = self.inputs.linearize(xi)
        value = self._affine(z, coarse)
        more = None if self.smooth is None else _smooth_at(self.smooth, z)

        def jvp(dxi: Array, dc: Array) -> Array:
            dz = dxi * slope
            dz_and_square = np.concatenate([dz, 2 * z * dz], axis=-1)
            along = self.on_xi.jvp(dz_and_square) + self.on_coarse.jvp(dc)
            return along if more is None else along + more.jvp(dz)

        def vjp(w: Array) -> tuple[Array, Array]:
            to_both, n = self.on_xi.vjp(w), z.shape[-1]
            to_z = to_both[..., :n] + 2 * z * to_both[..., n:]
            to_z = to_z if more is None else to_z + more.vjp(w)
            return to_z * slope, self.on_coarse.vjp(w)

        return DiscrepancyPoint(value if more is None else value + more.value, jvp, vjp)

    def tilted(self, tangent: Tangent) -> Discrepancy:
        """T(xi) + D(xi, c + T(xi)): D on top of a coarse model with a tangent T added to it.

        T is read within the reach of the samples, as D is.
        """
        scale, n = self.inputs.scale, len(self.inputs.scale.mean)
        slopes = scale.std[:, None] * (tangent.directions @ tangent.images.T)
        through = self.on_coarse.and_itself
        matrix = self.on_xi.matrix.copy()
        matrix[:n] += through(slopes)
        offset = self.on_xi.offset + through(tangent(scale.mean))
        return replace(self, on_xi=replace(self.on_xi, matrix=matrix, offset=offset))

    def arrays(self) -> dict[str, Array]:
        """All numbers, for storage."""
        parts = {
            "mean": self.inputs.scale.mean, "std": self.inputs.scale.std,
            "xi_matrix": self.on_xi.matrix, "offset": self.on_xi.offset,
            **self.on_coarse.arrays(),
        }  # fmt: skip
        if isinstance(self.smooth, Decoded):
            network = under("network.", self.smooth.network.arrays())
            parts |= {**network, "network_decoder": self.smooth.decoder}
        elif self.smooth is not None:
            parts |= self.smooth.arrays()
        return parts

    @classmethod
    def from_arrays(
        cls, a: Mapping[str, Any], errors: Mapping[str, float], n_pairs: int
    ) -> Discrepancy:
        """The inverse of :meth:`arrays`."""
        smooth: Radial | Decoded | None = None
        if "network_decoder" in a:
            network = Mlp.from_arrays(within("network.", a))
            smooth = residual_network(network, a["network_decoder"])
        elif "smooth_centres" in a:
            width = float(np.ravel(a["smooth_width"])[0])
            smooth = Radial(a["smooth_centres"], width, a["smooth_coefficients"])
        return cls(
            Reach(Standard(a["mean"], a["std"])),
            Affine(np.zeros(len(a["xi_matrix"])), a["xi_matrix"], a["offset"]),
            of_arrays(a),
            smooth,
            errors,
            n_pairs,
        )


def _smooth_at(smooth: Radial | Decoded, z: Array) -> Linearization:
    """At one z or a stack of them, which a network takes one by one."""
    if z.ndim == 1 or isinstance(smooth, Radial):
        return smooth.linearize(z)
    each = [smooth.linearize(one[0]) for one in z]

    def stacked(values: Iterable[Array]) -> Array:
        return np.stack(list(values))[:, None]

    return Linearization(
        stacked(at.value for at in each),
        lambda vs: stacked(at.jvp(v[0]) for at, v in zip(each, vs, strict=True)),
        lambda ws: stacked(at.vjp(w[0]) for at, w in zip(each, ws, strict=True)),
    )


def reach_of(pairs: Pairs) -> Reach:
    """How far the pairs reach, those that explain the data better counting more."""
    return Reach(Standard.fit(pairs.xi, 1 / pairs.variance))


def _fit(pairs: Pairs, config: DiscrepancyConfig) -> Discrepancy:
    n, weights = pairs.size, 1 / pairs.variance
    difference = pairs.fine - pairs.coarse
    target = Pod.fit(difference, pairs.noise_std, config.tolerance, weights=weights)
    inputs = _Inputs.fit(pairs)
    z, c, y = inputs.xi(pairs.xi), inputs.c(pairs.coarse), target.encode(difference)
    per_datum = float(np.sqrt(y.shape[1] / difference.shape[1]))

    def rms(residual: Array) -> float:
        return float(np.sqrt(np.average(np.mean(residual**2, axis=1), weights=weights)))

    errors = {
        "coarse": rms(difference / pairs.noise_std),
        "constant": rms(y) * n / (n - 1) * per_datum,
    }
    some = slice(None, None, max(1, -(-n // config.tune_points)))
    grams = Grams.of(z, c, pairs.variance)
    few = Grams.of(z[some], np.round(c[some], DIGITS), pairs.variance[some])
    seen = np.round(y[some], DIGITS)
    best: KernelFit | None = None
    for name, smooth in (("linear", False), ("kernel", True)):
        if smooth and config.method != "kernel":
            continue
        parameters = tune(few, seen, smooth, config.tune_evaluations)
        fit = KernelFit.solve(grams, y, parameters, smooth)
        if fit is None:
            continue
        errors[name] = fit.rms * per_datum
        if errors[name] < min(e for k, e in errors.items() if k not in (name, "coarse")):
            best = fit
    return _assemble(inputs, target, pairs, best, errors)


def _with_network(
    fitted: Discrepancy, pairs: Pairs, config: DiscrepancyConfig, seed: int
) -> Discrepancy:
    """The affine fit plus a network for what it leaves over, where that errs less on a fifth.

    The fifth is left out of both parts to measure the error; the parts kept know all pairs.
    """
    left_out = np.arange(pairs.size) % FOLDS == 0
    trial_pairs = pairs.rows(~left_out)
    trial = _fit(trial_pairs, config)
    target = Pod.fit(pairs.fine - pairs.coarse, pairs.noise_std, config.tolerance)

    def sample(affine: Discrepancy, some: Pairs) -> Sample:
        residual = (some.fine - some.coarse - affine(some.xi, some.coarse)) / some.noise_std
        return Sample(affine.inputs(some.xi), residual @ target.basis.T, some.variance)

    network, epochs = fit_residual(sample(trial, trial_pairs), target.decoder, seed)
    test = pairs.rows(left_out)
    found = trial(test.xi, test.coarse) + network(trial.inputs(test.xi))
    residual = np.mean(((test.fine - test.coarse - found) / test.noise_std) ** 2, axis=1)
    error = float(np.sqrt(np.average(residual, weights=1 / test.variance)))
    errors = {**fitted.errors, "network": error}
    if error >= fitted.rms:
        return replace(fitted, errors=errors)
    network, _ = fit_residual(sample(fitted, pairs), target.decoder, seed, max(epochs, 1))
    return replace(fitted, smooth=network, errors=errors)


def _assemble(
    inputs: _Inputs,
    target: Pod,
    pairs: Pairs,
    fit: KernelFit | None,
    errors: Mapping[str, float],
) -> Discrepancy:
    """Collapse scalings, modes and the linear kernel part into matrices."""
    z, c, n_obs = inputs.xi(pairs.xi), inputs.c(pairs.coarse), len(target.mean)
    w_xi, right = np.zeros((2 * z.shape[1], n_obs)), np.zeros((inputs.pod.n_modes, n_obs))
    to_modes = inputs.pod.basis.T / inputs.pod.noise_std[:, None] / inputs.scale
    offset, smooth = target.mean, None
    if fit is not None:
        weight_z, weight_q, weight_c, length, _ = np.exp(fit.log_parameters)
        # what cancels is summed up in units of the noise, before the unit of the data comes in
        found, decoder = fit.coefficients, target.decoder
        offset = offset + (fit.constant * found.sum(axis=0)) @ decoder
        along = np.concatenate([weight_z * (z.T @ found), weight_q * ((z**2 - 1).T @ found)])
        w_xi = along @ decoder
        right = (weight_c * (c.T @ found)) @ decoder
        if fit.smooth:
            smooth = Radial(z, float(length * np.sqrt(z.shape[1])), found @ decoder)
    return Discrepancy(
        inputs.xi,
        Affine(np.zeros(len(w_xi)), w_xi, offset),
        coarse_part(inputs.pod.mean, to_modes, right),
        smooth,
        errors,
        len(z),
    )
