"""A trained denoiser on fields it was not trained on: errors by level, and its own draws.

They are fresh draws of the problem's prior, or fields of a data set. Nothing is solved. Fields are
compared before the transform (ln m, or m): with the Wiener filter of a Gaussian that has the
moments of other fields, and with what is exact where they are draws of a Gaussian.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from scipy.fft import dctn

from pdeinv.bayes.prior import FieldPrior, Prior, whiten
from pdeinv.bayes.transforms import Exponential
from pdeinv.engines.diffusion.prior import law_draws
from pdeinv.errors import ConfigError
from pdeinv.jobs.evaluate import Request, Setting
from pdeinv.jobs.evaluate_inverse import Told
from pdeinv.jobs.evaluated_draws import check_draws
from pdeinv.jobs.fields_given import given_fields, nearest
from pdeinv.model.learned import Denoiser, Role
from pdeinv.plugins.law import law_of
from pdeinv.plugins.recipe import load_surrogate
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["Examined", "examine", "short_waves", "spectrum", "told", "verdict"]

LEVELS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Noise, in spreads of the law."""

FITTED, FEWEST = 4, 1000
"""Draws that a Gaussian is fitted to: for each coordinate of a field, and in all."""

PRIOR, DATA = "draws of the problem's prior", "of the data set"
TRAINING = "of the training's own data set"
"""What fields are."""

SEEN = "; most of these fields were trained on, so that errors say little: hold others out"

OTHER = 5.0
"""Spreads of the draws between mean fields beyond which fields are no such fields at all."""

COPIED = 0.5
"""Draws repeat fields where they are so many times nearer to them than fields to each other."""

WORSE, LITTLE = 1.02, 0.8
"""The error over that of the Wiener filter above which a denoiser is no use, and down to which it
has hardly learned what a Gaussian with the fields' moments would not tell."""


@dataclass(frozen=True)
class Examined:
    """A denoiser beside fields that it was not trained on.

    Attributes:
        name: of the surrogate.
        problem: name of the problem.
        given: the problem's prior, where fields are its draws.
        whose: what the fields are, in words.
        own: the prior whose coordinates the denoiser has.
        law: the denoiser.
        clean: fields in those coordinates, (n, dim).
        fitted: more of them, that a Gaussian is fitted to and draws are compared with, (k, dim).
        drawn: draws of the law, (n, dim).
        noise: standard normal, (n, dim).
    """

    name: str
    problem: str
    given: Prior | None
    whose: str
    own: Prior
    law: Denoiser
    clean: Array
    fitted: Array
    drawn: Array
    noise: Array

    def fields(self, coordinates: Array) -> Array:
        """The fields before the transform, where the prior has one, else the coordinates."""
        return self.own.gaussian(coordinates) if isinstance(self.own, FieldPrior) else coordinates

    @property
    def label(self) -> str:
        """What :meth:`fields` are, with units where there is no logarithm."""
        variable = self.own.space.variables[0]
        if isinstance(self.own, FieldPrior) and isinstance(self.own.transform, Exponential):
            return f"ln {variable.name}"
        return f"{variable.name} ({variable.units})"

    @cached_property
    def moments(self) -> tuple[Array, Array]:
        """Mean and covariance of the fitted fields.

        Of fewer fields than a covariance takes, the variances of single coordinates alone: what
        fields have never shown it takes for impossible, and the filter would be far too easy to
        beat.
        """
        mean = self.fitted.mean(axis=0)
        if len(self.fitted) < FITTED * self.own.dim:
            return mean, np.diag(self.fitted.var(axis=0))
        return mean, np.atleast_2d(np.cov(self.fitted.T))

    @cached_property
    def apart(self) -> float:
        """How far the mean field of the fields is from that of the draws, in the draws' spread."""
        fields, draws = (self.fields(z) for z in (self.clean, self.drawn))
        off = fields.mean(axis=0) - draws.mean(axis=0)
        return float(np.sqrt(np.mean(off**2)) / max(float(draws.std()), 1e-300))

    @cached_property
    def exact(self) -> tuple[Array, Array] | None:
        """Mean and covariance of the coordinates where those are Gaussian."""
        given, own, dim = self.given, self.own, self.own.dim
        if given is None:
            return None
        if own is given:
            return np.zeros(dim), np.eye(dim)
        if not (isinstance(given, FieldPrior) and isinstance(own, FieldPrior)):
            return None
        if type(given.transform) is not type(own.transform):
            return None
        root = own.field.apply(np.eye(dim)).T
        spread = np.linalg.solve(root, given.field.apply(np.eye(given.dim)).T)
        return np.linalg.solve(root, given.field.mean - own.field.mean), spread @ spread.T

    def errors(self, level: float) -> dict[str, float]:
        """Root mean square errors of denoised fields at a level in spreads of the law."""
        s = level * self.law.spread
        noisy = self.clean + s * self.noise
        found = {"learned": self.law(noisy, s), "wiener": _filtered(noisy, s, *self.moments)}
        if self.exact is not None:
            found["exact"] = _filtered(noisy, s, *self.exact)
        truth = self.fields(self.clean)
        return {k: float(np.sqrt(np.mean((self.fields(v) - truth) ** 2))) for k, v in found.items()}


def _filtered(noisy: Array, level: float, mean: Array, covariance: Array) -> Array:
    """mean + C (C + level² I)⁻¹ (y - mean), the denoiser of N(mean, C)."""
    total = covariance + level**2 * np.eye(len(mean))
    return np.asarray(mean + np.linalg.solve(total, (noisy - mean).T).T @ covariance)


def examine(request: Request) -> Examined:
    """Draw fields, and draws of the law.

    Raises:
        ConfigError: draws of a posterior, sensors or a level are asked for.
        SurrogateRejected: trained for another problem, configuration or prior.
    """
    unused = {
        "--around": request.around,
        "--obs": request.obs,
        "--sensors": request.sensors,
        "--level": request.level,
    }
    given = [flag for flag, value in unused.items() if value is not None]
    if given:
        raise ConfigError(
            f"a denoiser is evaluated at draws of the prior, without a solve; leave "
            f"{', '.join(given)} out"
        )
    surrogate = load_surrogate(request.checkpoint)
    there = Setting.of(request, surrogate)
    own, law = law_of(surrogate, there.problem, there.prior, there.sensors)
    law_given: Prior | None = None
    if request.data is None:
        law_given, whose = there.prior, PRIOR
        clean, fitted = _drawn(request, law_given, own)
    else:
        fields, digest = given_fields(request.data, there.problem, own)
        whose = TRAINING if digest == surrogate.metadata.get("dataset_sha256") else DATA
        clean, fitted = _parted(fields, request)
    rng, n = stream(request.seed, "evaluate-noise"), len(clean)
    noise, drawn = rng.standard_normal((n, own.dim)), law_draws(law, rng, n)
    names = surrogate.name, there.problem.name
    return Examined(*names, law_given, whose, own, law, clean, fitted, drawn, noise)


def _drawn(request: Request, given: Prior, own: Prior) -> tuple[Array, Array]:
    """Draws of the problem's prior in other coordinates: those to denoise, and more."""
    n, k = request.n, max(FITTED * own.dim, FEWEST)
    check_draws(n, given.dim + own.dim, own.dim)  # fields, then noise and draws of the law
    xi = stream(request.seed, "evaluate-fields").standard_normal((n + k, given.dim))
    clean = xi if own is given else whiten(own, given.unwhiten(xi))
    return clean[:n], clean[n:]


def _parted(fields: Array, request: Request) -> tuple[Array, Array]:
    """Fields of a data set by chance: those to denoise, half of them at most, and the others."""
    order = stream(request.seed, "evaluate-fields").permutation(len(fields))
    n = min(request.n, len(fields) // 2)
    return fields[order[:n]], fields[order[n:]]


def told(found: Examined) -> Told:
    """Figures by level, moments of draws beside those of fields, and all fields."""
    levels = [{"level": s, **found.errors(s)} for s in LEVELS]
    ratio = float(np.exp(np.mean([np.log(e["learned"] / e["wiener"]) for e in levels])))
    fields, draws = (found.fields(z) for z in (found.clean, found.drawn))
    shape, middle = found.own.space.variables[0].shape, 0.5 * (fields.min() + fields.max())
    near = {} if found.given else _near(found, fields, draws)
    figures: dict[str, Any] = {
        "surrogate": found.name,
        "role": str(Role.DENOISER),
        "problem": found.problem,
        "fields": found.whose,
        "n": len(found.clean),
        "error_over_wiener": ratio,
        **near,
        **{f"{k}_of_draws": v for k, v in _said(draws, shape, middle).items()},
        **{f"{k}_of_fields": v for k, v in _said(fields, shape, middle).items()},
        "components": levels,
        "verdict": _judged(found, ratio, near),
    }
    return Told(figures, _rows(found))


def _judged(found: Examined, ratio: float, near: Mapping[str, float]) -> str:
    """In words, of all that was seen."""
    if found.given is None and found.apart > OTHER:
        return (
            f"other fields: their mean is {found.apart:.3g} spreads from that of the prior's "
            "draws; look at their units, or train a prior on such fields"
        )
    return verdict(ratio) + _copied(near) + SEEN * (found.whose == TRAINING)


def _near(found: Examined, fields: Array, draws: Array) -> dict[str, float]:
    """The median rms difference of draws and of fields to the nearest of the other fields."""
    others = found.fields(found.fitted)
    both = {"draws": draws, "fields": fields}
    return {f"nearest_to_{k}": float(np.median(nearest(v, others))) for k, v in both.items()}


def _copied(near: Mapping[str, float]) -> str:
    """What is said of draws that come nearer to fields than fields do."""
    if not near or near["nearest_to_draws"] > COPIED * near["nearest_to_fields"]:
        return ""
    return (
        f"; half of its draws are within {near['nearest_to_draws']:.3g} of a field of the data "
        f"set, whose fields are {near['nearest_to_fields']:.3g} apart: it repeats them; train it "
        "on more fields, or for fewer epochs"
    )


def _said(fields: Array, shape: tuple[int, ...], middle: float) -> dict[str, float]:
    """Moments, the share of nodes above a value, and of fields in the plane that of short waves."""
    found = {**_moments(fields), "volume": float(np.mean(fields > middle))}
    if not _plane(fields, shape):
        return found
    return {**found, "short_waves": short_waves(fields.reshape(-1, *shape))}


def _plane(fields: Array, shape: tuple[int, ...]) -> bool:
    """Whether rows are images of that shape."""
    return len(shape) == 2 and fields.shape[1] == int(np.prod(shape))


def short_waves(images: Array) -> float:
    """The share of the variance, about their mean, in waves shorter than four nodes.

    By type-II cosine transforms of images (n, rows, columns): along some axis the frequency is
    above half of the highest.
    """
    power = _power(images)
    rows, columns = power.shape
    long = power[: (rows + 1) // 2, : (columns + 1) // 2].sum()
    return float(1 - long / power.sum())


def _power(images: Array) -> Array:
    """The mean square of each type-II cosine coefficient about the mean image."""
    off = images - images.mean(axis=0)
    return np.asarray(np.mean(dctn(off, axes=(1, 2), norm="ortho") ** 2, axis=0))


def spectrum(images: Array) -> Array:
    """The variance of a node by wave number, half waves along a side, of (n, rows, columns).

    Waves that are not along an axis count with the root of the sum of both squares, rounded.
    """
    power = _power(images)
    rows, columns = power.shape
    wave = np.rint(np.hypot.outer(np.arange(rows), np.arange(columns))).astype(np.intp)
    return np.bincount(wave.ravel(), power.ravel()) / power.size


def _moments(fields: Array) -> dict[str, float]:
    """Of all values: mean, standard deviation, kurtosis (3 of a Gaussian, 1 of two phases)."""
    off = fields - fields.mean(axis=0)
    return {
        "mean": float(fields.mean()),
        "sd": float(fields.std()),
        "kurtosis": float(np.mean(off**4) / np.mean(off**2) ** 2),
    }


def verdict(ratio: float) -> str:
    """In words, of the error over that of the Wiener filter."""
    said = f"its error is {ratio:.3g} times that of a Gaussian's Wiener filter"
    if ratio > WORSE:
        return f"weak: {said}; train longer, or on more fields"
    if ratio < LITTLE:
        return f"good: {said}"
    much = "little" if ratio < 1 / WORSE else "no"
    return f"{much} more than a Gaussian: {said}; where the fields are none, train longer"


def _rows(found: Examined) -> xr.Dataset:
    """Fields and draws of the unknown, one a row."""
    fields = found.own.space.unpack(found.own.unwhiten(found.clean), ("sample",))
    draws = found.own.space.unpack(found.own.unwhiten(found.drawn), ("sample",))
    names = {name: f"{name}_drawn" for name in found.own.space.names}
    both = fields.merge(draws.rename(names), compat="no_conflicts")
    shape = found.own.space.variables[0].shape
    images = {k: found.fields(z) for k, z in (("fields", found.clean), ("draws", found.drawn))}
    if not _plane(images["fields"], shape):
        return both
    text = "variance of a node by half waves along a side"
    return both.assign({
        f"spectrum_of_{k}": ("wave", spectrum(v.reshape(-1, *shape)), {"long_name": text})
        for k, v in images.items()
    })  # fmt: skip
