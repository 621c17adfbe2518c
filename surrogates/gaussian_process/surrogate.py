"""Gaussian-process regression of the data on few unknowns, with its predictive variance.

The data are expanded in their proper orthogonal modes, which carry their correlation; the modes'
coefficients get Gaussian processes with a squared-exponential kernel and one length per unknown and
group of modes (:mod:`.processes`). Beyond ``max_points`` samples regression is sparse and
variational. The variance of the data is that of the modes and of what the modes leave out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config
from pdeinv.errors import CapabilityError, DataSchemaError
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.forward import Capability, ForwardModel, Linearization
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from ..common.bound import ALL, BoundModel, RangeWatch
from ..common.fitting import FitRun, Index, Split
from ..common.identity import Identity, data_space
from ..common.record import Record, heldout_errors
from ..common.scaling import Pod, reference_noise
from ..common.storage import load_folder, save_folder
from .regression import Group, Spectrum, choose, tune

__all__ = ["Gp", "GpConfig"]

MAX_UNKNOWNS = 20
"""Above this many unknowns a stationary kernel needs more samples than exact regression takes."""


class GpConfig(Config):
    """Options of ``gp``."""

    max_points: int = Field(
        1000, ge=20, le=5000, description="most samples of exact regression; sparse beyond"
    )
    inducing: int = Field(300, ge=10, description="inducing points of sparse regression")
    groups: int = Field(4, ge=1, description="groups of modes that share their lengths")
    tune_points: int = Field(300, ge=20, description="samples that tune the hyper-parameters")
    iterations: int = Field(60, ge=1, description="search steps on the marginal likelihood")
    tolerance: float = Field(0.1, gt=0, description="rms truncation of the data, in units of σ")
    noise_rel: float = Field(
        0.02, gt=0, description="σ as a share of the peak, for errors, where no σ is given"
    )


@dataclass(frozen=True)
class _Emulator:
    """xi to data at the chosen sensors."""

    groups: tuple[Group, ...]
    scale: Array
    mean: Array
    decoder: Array
    rest: Array

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
class Gp:
    """Trained processes with all that is needed to use them again.

    Attributes:
        groups: processes of the modes, in order.
        scale: standard deviation of each coefficient, shape (n_modes,).
        pod: the modes.
        rest: variance of what the modes leave out, shape (n_obs,).
        record: metadata.
    """

    groups: tuple[Group, ...]
    scale: Array
    pod: Pod
    rest: Array
    record: Record

    name: ClassVar[str] = "gp"
    Config: ClassVar[type[Config]] = GpConfig

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See :class:`pdeinv.surrogates.common.record.Record`."""
        return self.record.as_json()

    @classmethod
    def fit(
        cls,
        dataset: TrainingSet,
        problem: Problem,
        config: GpConfig,
        seed: int,
        run: FitRun | None = None,
    ) -> Gp:
        """Regress the data set's values on its xi; deterministic, hence ``resume`` starts anew.

        Raises:
            CapabilityError: more than 20 unknowns.
            SurrogateRejected: the data set belongs to another problem.
        """
        run = run or FitRun()
        Identity.of_dataset(dataset).check(problem, problem.prior())
        dim = dataset.xi.shape[1]
        if dim > MAX_UNKNOWNS:
            raise CapabilityError(
                f"surrogate 'gp' takes at most {MAX_UNKNOWNS} unknowns, the data set has {dim}; "
                "use 'latent' or 'multifidelity', or fewer modes in the prior"
            )
        split = Split.of(dataset.size, seed)
        rows = np.sort(np.concatenate([split.train, split.valid]))
        x, y = dataset.xi[rows], dataset.values[rows]
        noise_std = reference_noise(y, run.noise_std, config.noise_rel)
        pod = Pod.fit(y, noise_std, config.tolerance, len(rows) // 2)
        z = pod.encode(y)
        rest = np.mean((y - pod.decode(z)) ** 2, axis=0)
        scale = np.maximum(z.std(axis=0), 1e-300)
        groups = _groups(x, (z / scale).T, config, run)
        emulator = _Emulator(groups, scale, pod.mean, pod.decoder, rest)
        test = split.test
        errors = heldout_errors(emulator(dataset.xi[test]), dataset.values[test], noise_std)
        record = Record.of(
            cls.name,
            dataset,
            rows=rows,
            how=(config, seed, noise_std),
            sizes={"train": len(rows), "test": len(test)},
            errors=errors,
            extra={
                "modes": pod.n_modes,
                "groups": [len(g.signal) for g in groups],
                "inducing": len(groups[0].points) if len(rows) > config.max_points else None,
                "coverage_95": _coverage(emulator, dataset, test),
            },
        )
        return cls(groups, scale, pod, rest, record)

    def save(self, folder: Path) -> None:
        """Write inputs, weights, hyper-parameters, modes and the metadata."""
        arrays = {"scale": self.scale, "rest": self.rest, **self.pod.arrays()}
        for k, group in enumerate(self.groups):
            arrays |= {f"group{k}.{name}": a for name, a in group.arrays().items()}
            if self.sparse:
                arrays[f"group{k}.points"] = group.points
                arrays[f"group{k}.basis"] = group.spectrum.basis
                arrays[f"group{k}.values"] = group.spectrum.values
        if not self.sparse:
            arrays["points"] = self.groups[0].points
        save_folder(folder, arrays, self.record.as_json())

    @property
    def sparse(self) -> bool:
        """Whether there are inducing points."""
        return self.record.extra["inducing"] is not None

    @classmethod
    def load(cls, folder: Path) -> Gp:
        """What :meth:`save` wrote.

        Raises:
            DataSchemaError: the folder does not hold a Gaussian-process surrogate.
        """
        a, metadata = load_folder(folder, cls.name)
        record = Record.from_json(metadata, folder)
        try:
            groups = tuple(_stored_group(a, k) for k in range(len(record.extra["groups"])))
            pod = Pod.from_arrays(a)
            return cls(groups, a["scale"], pod, a["rest"], record)
        except KeyError as error:
            raise DataSchemaError(f"{folder}: array {error} is missing; train it again") from None

    def bind(self, problem: Problem, prior: Prior, sensors: Sensors) -> ForwardModel:
        """The processes' mean as a forward model on xi; sensors may be any of the trained ones.

        Raises:
            SurrogateRejected: trained for another problem, prior or sensor set.
        """
        self.record.identity.check(problem, prior)
        return BoundModel(
            self._emulator(self.record.identity.select(sensors)),
            prior.dim,
            data_space(self.record.identity.observed, sensors),
            RangeWatch(self.record.low, self.record.high, self.name),
            ALL | {Capability.VARIANCE},
            report=self.metadata,
        )

    def predict_with_variance(self, xi: Array, sensors: Sensors) -> tuple[Array, Array]:
        """Mean and variance of the data, each (..., n_d), at the given trained sensors."""
        emulator = self._emulator(self.record.identity.select(sensors))
        return emulator(xi), emulator.variance(xi)

    def _emulator(self, chosen: Index) -> _Emulator:
        return _Emulator(
            self.groups,
            self.scale,
            self.pod.mean[chosen],
            self.pod.decoder[:, chosen],
            self.rest[chosen],
        )


def _groups(x: Array, targets: Array, config: GpConfig, run: FitRun) -> tuple[Group, ...]:
    """Processes of all modes: some evenly spaced samples tune them, all condition them."""
    some = np.unique(np.linspace(0, len(x) - 1, min(config.tune_points, len(x))).astype(int))
    parts = np.array_split(targets, min(config.groups, len(targets)))
    groups = []
    for k, part in enumerate(parts):
        tuned = tune(x[some], part[:, some], config.iterations)
        inducing = x if len(x) <= config.max_points else choose(x, tuned[0], config.inducing)
        groups.append(Group.condition(inducing, x, part, tuned))
        run.progress(k + 1, len(parts), float("nan"), float("nan"))
    return tuple(groups)


def _stored_group(a: Mapping[str, Any], k: int) -> Group:
    """Group ``k`` of a checkpoint's arrays."""
    prefix = f"group{k}."
    own = {name.removeprefix(prefix): v for name, v in a.items() if name.startswith(prefix)}
    if "points" not in own:
        return Group.from_arrays(own, a["points"], None)
    return Group.from_arrays(own, own["points"], Spectrum(own["basis"], own["values"]))


def _coverage(emulator: _Emulator, dataset: TrainingSet, test: Index) -> float:
    """The share of held-out data inside the predicted 95 % interval."""
    xi, y = dataset.xi[test], dataset.values[test]
    half = 1.96 * np.sqrt(emulator.variance(xi))
    return float(np.mean(np.abs(emulator(xi) - y) <= half))
