"""Gaussian-process regression of the data on few unknowns, with its predictive variance.

The data are expanded in their proper orthogonal modes, which carry their correlation; the modes'
coefficients get Gaussian processes with a squared-exponential kernel and one length per unknown and
group of modes (:mod:`.regression`). Beyond ``max_points`` samples regression is sparse and
variational. The variance of the data is that of the modes and of what the modes leave out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from pdeinv.errors import CapabilityError
from pdeinv.model.forward import Capability, Linearization
from pdeinv.plugins.fitting import FitRun
from pdeinv.typing import Array

from ..common.bound import ALL
from ..common.lesson import Lesson, LessonConfig, Where
from ..common.record import Judgement, Record, heldout_errors
from ..common.scaling import Pod
from ..common.split import Split
from ..common.storage import under, within
from ..common.trained import Trained
from .regression import Group, choose, tune

__all__ = ["Gp", "GpConfig"]

MAX_UNKNOWNS = 20
"""Above this many unknowns a stationary kernel needs more samples than exact regression takes."""


class GpConfig(LessonConfig):
    """Options of ``gp``."""

    max_points: int = Field(
        1000, ge=20, le=5000, description="most samples of exact regression; sparse beyond"
    )
    inducing: int = Field(300, ge=10, description="inducing points of sparse regression")
    groups: int = Field(4, ge=1, description="groups of modes that share their lengths")
    tune_points: int = Field(300, ge=20, description="samples that tune the hyper-parameters")
    iterations: int = Field(60, ge=1, description="search steps on the marginal likelihood")
    tolerance: float = Field(0.1, gt=0, description="rms truncation of the data, in units of σ")


@dataclass(frozen=True)
class _Emulator:
    """xi to data at the chosen sensors."""

    groups: tuple[Group, ...]
    scale: Array
    mean: Array
    decoder: Array
    rest: Array

    capabilities = ALL | {Capability.VARIANCE}

    def __call__(self, xi: Array) -> Array:
        flat = xi.reshape(-1, xi.shape[-1])
        z = np.concatenate([g.mean(flat) for g in self.groups], axis=1)
        return np.asarray(self.mean + (z * self.scale) @ self.decoder).reshape(*xi.shape[:-1], -1)

    def variance(self, xi: Array) -> Array:
        flat = xi.reshape(-1, xi.shape[-1])
        z = np.concatenate([g.variance(flat) for g in self.groups], axis=1)
        variance = self.rest + (z * self.scale**2) @ self.decoder**2
        return np.asarray(variance).reshape(*xi.shape[:-1], -1)

    def linearize(self, xi: Array) -> Linearization:
        parts = [g.jacobian(xi) for g in self.groups]
        z, slope = (np.concatenate(list(p)) for p in zip(*parts, strict=True))
        jacobian = (self.decoder * self.scale[:, None]).T @ slope
        value = self.mean + (z * self.scale) @ self.decoder
        return Linearization(value, lambda v: jacobian @ v, lambda w: jacobian.T @ w)


@dataclass(frozen=True)
class Gp(Trained):
    """Trained processes with all that is needed to use them again.

    Attributes:
        groups: processes of the modes, in order.
        scale: standard deviation of each coefficient, shape (n_modes,).
        pod: the modes.
        rest: variance of what the modes leave out, shape (n_obs,).
    """

    groups: tuple[Group, ...]
    scale: Array
    pod: Pod
    rest: Array

    name = "gp"
    Config = GpConfig

    @classmethod
    def split(cls, n: int, seed: int, config: Any) -> Split:
        """Nothing here needs a stopping point."""
        return Split.of(n, seed).joined()

    @classmethod
    def learn(cls, lesson: Lesson) -> Gp:
        """Regress data on xi; deterministic, hence ``resume`` starts anew.

        Raises:
            CapabilityError: more than 20 unknowns.
        """
        x, y, config = lesson.xi, lesson.values, lesson.config
        if x.shape[1] > MAX_UNKNOWNS:
            raise CapabilityError(
                f"surrogate 'gp' takes at most {MAX_UNKNOWNS} unknowns, the data set has "
                f"{x.shape[1]}; use 'latent' or 'multifidelity', or fewer modes in the prior"
            )
        pod = Pod.fit(y, lesson.noise_std, config.tolerance, len(x) // 2)
        z = pod.encode(y)
        rest = np.mean((y - pod.decode(z)) ** 2, axis=0)
        scale = np.maximum(z.std(axis=0), 1e-300)
        groups = _groups(x, (z / scale).T, config, lesson.run)
        extra = {
            "modes": pod.n_modes,
            "groups": [len(g.signal) for g in groups],
            "inducing": len(groups[0].points) if len(x) > config.max_points else None,
        }
        return cls(lesson.record(cls, extra), groups, scale, pod, rest)

    def judge(self, lesson: Lesson) -> Judgement:
        """Held-out errors, and the share of the data inside the predicted 95 % interval."""
        emulator, test = self.emulator(lesson.where), lesson.split.test
        xi, true = lesson.dataset.xi[test], lesson.dataset.values[test]
        found = emulator(xi)
        inside = np.abs(found - true) <= 1.96 * np.sqrt(emulator.variance(xi))
        errors = heldout_errors(found, true, lesson.noise_std, lesson.values.mean(axis=0))
        return Judgement(errors, {"coverage_95": float(np.mean(inside))})

    def arrays(self) -> dict[str, Array]:
        """Inputs, weights, hyper-parameters and modes; exact groups share their points."""
        found = {"scale": self.scale, "rest": self.rest, **self.pod.arrays()}
        sparse = self.record.extra["inducing"] is not None
        for k, group in enumerate(self.groups):
            found |= under(f"group{k}.", group.arrays(sparse))
        return found if sparse else {**found, "points": self.groups[0].points}

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], record: Record) -> Gp:
        """The inverse of :meth:`arrays`."""
        stored = [within(f"group{k}.", arrays) for k in range(len(record.extra["groups"]))]
        groups = tuple(Group.from_arrays(own, arrays.get("points")) for own in stored)
        return cls(record, groups, arrays["scale"], Pod.from_arrays(arrays), arrays["rest"])

    def emulator(self, where: Where) -> _Emulator:
        """The processes with the modes at some of the trained sensors."""
        chosen, pod = where.chosen(self.record.identity), self.pod
        mean, decoder = pod.mean[chosen], pod.decoder[:, chosen]
        return _Emulator(self.groups, self.scale, mean, decoder, self.rest[chosen])


def _groups(x: Array, targets: Array, config: GpConfig, run: FitRun) -> tuple[Group, ...]:
    """Processes of all modes: some evenly spaced samples tune them, all condition them."""
    some = np.unique(np.linspace(0, len(x) - 1, min(config.tune_points, len(x))).astype(int))
    parts = np.array_split(targets, min(config.groups, len(targets)))
    groups = []
    for k, part in enumerate(parts):
        tuned = tune(x[some], part[:, some], config.iterations)
        exact = len(x) <= config.max_points
        inducing = x if exact else choose(x, tuned.lengths, config.inducing)
        groups.append(Group.condition(inducing, x, part, tuned))
        run.progress(k + 1, len(parts), float("nan"), float("nan"))
    return tuple(groups)
