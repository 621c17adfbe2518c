"""Are the derivatives right? Dot-product and Taylor tests of forward models and posteriors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.errors import RunFailed, SolverDiverged, reason
from pdeinv.model.forward import DERIVATIVES, Capability, ForwardModel, require
from pdeinv.typing import Array

__all__ = [
    "MAX_DOT_PRODUCT_ERROR",
    "MIN_TAYLOR_SLOPE",
    "TaylorResult",
    "Tested",
    "dot_product_test",
    "gradient_test",
    "taylor_test",
    "derivatives_at_a_draw",
]

MAX_DOT_PRODUCT_ERROR = 1e-10
MIN_TAYLOR_SLOPE = 1.9
"""What a model's own derivatives keep: a right one has slope 2, a wrong one slope 1."""

_HALVINGS = 26
_TRIALS, _DRAWS = 2, 20
_TINY = (1e-13, 2e-13, 3e-13, 5e-13, 7e-13)
"""Steps so small that the remainder there is the rounding noise of the model and nothing else."""
_ABOVE_NOISE = 30.0
"""Remainders count while they are this many times larger than that noise."""
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class TaylorResult:
    """Remainders ‖G(m + h v) − G(m) − h dG(m)[v]‖: they fall like h² if the derivative is right.

    Attributes:
        steps: h, halved from one to the next, shape (k,); those lost in rounding are left out.
        remainders: at each step, shape (k,).
        slopes: observed orders between neighbours, shape (k − 1,).
        slope: median order of the three smallest pairs; 2 where the map is linear.
        linear: whether every remainder is rounding noise, as for a linear map.
    """

    steps: Array
    remainders: Array
    slopes: Array
    slope: float
    linear: bool = False


def dot_product_test(model: ForwardModel, m: Array, rng: np.random.Generator) -> float:
    """|⟨J v, w⟩ − ⟨v, Jᵀw⟩| relative to ‖J v‖ ‖w‖ for random v and w; the worst of two trials.

    Args:
        model: with JVP and VJP.
        m: where, shape (n_m,).
        rng: draws v and w.

    Raises:
        CapabilityError: the model lacks JVP or VJP.
        SolverDiverged: the solve at m failed.

    Reference: Claerbout (2014), ch. 1, dot-product test.
    """
    require(model, DERIVATIVES, "the dot-product test")
    at = model.linearize(m)
    worst = 0.0
    for _ in range(_TRIALS):
        v, w = rng.standard_normal(len(m)), rng.standard_normal(model.d_space.size)
        jv, jtw = at.jvp(v), at.vjp(w)
        scale = max(np.linalg.norm(jv) * np.linalg.norm(w), np.linalg.norm(v) * np.linalg.norm(jtw))
        gap = abs(float(jv @ w - v @ jtw))
        if not np.isfinite([gap, scale]).all():  # max(0.0, nan) would be 0
            return float("inf")
        worst = max(worst, gap / float(scale) if scale > 0 else gap)
    return worst


def taylor_test(model: ForwardModel, m: Array, rng: np.random.Generator) -> TaylorResult:
    """The order of the Taylor remainder of a forward model along a random direction.

    Args:
        model: with JVP.
        m: where, shape (n_m,); where all entries have one sign, steps keep it.
        rng: draws the direction.

    Raises:
        CapabilityError: the model lacks JVP.
        RunFailed: too few steps could be evaluated.
    """
    require(model, frozenset({Capability.JVP}), "the Taylor test")
    v = _direction(m, rng)
    at = model.linearize(m)
    return _taylor(model, (m, v), at.value, at.jvp(v))


@dataclass(frozen=True)
class Tested:
    """What both tests of one model say, at one place.

    Attributes:
        error: of the dot-product test.
        slope: of the Taylor test.
    """

    error: float
    slope: float


def derivatives_at_a_draw(model: ForwardModel, rng: np.random.Generator) -> Tested:
    """Both tests of a model on xi at ½ N(0, I), at another draw where a solve or derivative fails.

    Raises:
        RunFailed: they fail at all of 20 draws.
    """
    why = ""
    for _ in range(_DRAWS):
        xi = 0.5 * rng.standard_normal(model.m_space.size)
        try:
            error = dot_product_test(model, xi, rng)
            found = Tested(error, float(taylor_test(model, xi, rng).slope))
        except (SolverDiverged, RunFailed) as failed:
            why = reason(failed)
            continue
        if np.isfinite([error, found.slope]).all():
            return found
        why = "the derivative is not finite"
    raise RunFailed(
        f"the derivatives cannot be tested: solves fail at {_DRAWS} draws, the last since {why}; "
        "see 'pdeinv check', or narrow the prior"
    )


def gradient_test(posterior: Posterior, xi: Array, rng: np.random.Generator) -> TaylorResult:
    """The order of the Taylor remainder of Φ + R with its gradient; counters stay as they are.

    Args:
        posterior: of a model with VJP.
        xi: where, shape (dim,).
        rng: draws the direction.
    """
    twin = replace(posterior, counters=Counters())
    v = _direction(xi, rng)
    at = twin.linearize(xi)

    def value(x: Array) -> Array:
        found = np.atleast_1d(twin.neg_log_posterior(x))
        if not np.isfinite(found).all():
            raise SolverDiverged("the negative log posterior is not finite at a step of the test")
        return found

    slope_along = np.atleast_1d(at.gradient @ v)
    return _taylor(value, (xi, v), np.atleast_1d(at.neg_log_posterior), slope_along)


def _direction(m: Array, rng: np.random.Generator) -> Array:
    """A random direction on the scale of m; relative to m where it has one sign, to keep that."""
    v = rng.standard_normal(len(m))
    v /= np.abs(v).max()
    if np.all(m > 0) or np.all(m < 0):
        return v * np.abs(m)
    return v * max(1.0, float(np.sqrt(np.mean(m**2))))


def _taylor(
    f: Callable[[Array], Array],
    line: tuple[Array, Array],
    value: Array,
    derivative: Array,
) -> TaylorResult:
    m, v = line

    def remainder(h: float) -> float:
        return float(np.linalg.norm(f(m + h * v) - value - h * derivative))

    steps, remainders = [], []
    try:
        floor = _ABOVE_NOISE * max(
            *map(remainder, _TINY), _EPS * float(np.linalg.norm(value) + np.linalg.norm(derivative))
        )
    except SolverDiverged as error:
        raise RunFailed(f"the Taylor test cannot evaluate the model around m: {error}") from None
    for h in 0.5 ** np.arange(1, _HALVINGS + 1):
        try:
            found = remainder(h)
        except SolverDiverged:
            continue  # too far from m; smaller steps follow
        if found <= floor:
            break
        steps.append(h)
        remainders.append(found)
    return _result(np.array(steps), np.array(remainders))


def _result(steps: Array, remainders: Array) -> TaylorResult:
    """Orders between the steps; fewer than two remainders above rounding mean a linear map."""
    if len(steps) < 2:
        return TaylorResult(steps, remainders, np.zeros(0), 2.0, linear=True)
    slopes = np.diff(np.log(remainders)) / np.diff(np.log(steps))
    return TaylorResult(steps, remainders, slopes, float(np.median(slopes[-3:])))
