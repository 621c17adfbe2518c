"""Fourier neural operator from the coefficient on a grid to the measured field on that grid.

Unlike the other surrogates it knows the whole field, hence predicts at any sensors inside the grid,
and it works on grids of another resolution. The unknown reaches it as the problem's coefficient
field (``grid_operator``), so that one network serves any number of unknowns.

Reference: Li et al. (2021), Fourier neural operator for parametric partial differential equations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config
from pdeinv.errors import ConfigError, DataSchemaError, SurrogateRejected
from pdeinv.io.datasets import TrainingSet
from pdeinv.models import ForwardModel, Linearization
from pdeinv.protocols import Problem, Sensors
from pdeinv.typing import Array

from .bound import BoundModel, RangeWatch
from .fitting import FitRun, Index, Split
from .fno_fields import FieldMap, FieldScaling, Grid
from .fno_network import Architecture, build, from_arrays, in_double, padded_size, to_arrays
from .identity import Identity, data_space
from .record import Record, heldout_errors
from .scaling import reference_noise
from .storage import load_folder, save_folder
from .training import Data, Loss, TrainingConfig, import_torch, seeded, train

__all__ = ["Fno", "FnoConfig"]


class FnoConfig(TrainingConfig):
    """Options of ``fno``."""

    epochs: int = Field(60, ge=1, description="passes over the training samples at most")
    batch_size: int = Field(8, ge=1, description="samples of one gradient step")
    learning_rate: float = Field(6e-3, gt=0, description="at the start; follows half a cosine to 0")
    modes: int = Field(16, ge=2, description="frequencies kept along each axis, negative counted")
    width: int = Field(16, ge=2, description="channels")
    layers: int = Field(4, ge=1, description="Fourier layers")
    padding: float = Field(0.25, ge=0, le=1, description="share by which the domain is extended")
    log_input: bool | None = Field(
        None, description="learn from log(coefficient); absent: where all samples are positive"
    )
    noise_rel: float = Field(
        0.02, gt=0, description="σ as a share of the peak, for errors, where no σ is given"
    )


@dataclass(frozen=True)
class _Emulator:
    """xi to data: prior, coefficient on the grid, network, interpolation to the sensors."""

    prior: Prior
    to_grid: Any
    fields: FieldMap
    to_sensors: Any

    def __call__(self, xi: Array) -> Array:
        m = self.prior.unwhiten(xi.reshape(-1, xi.shape[-1]))
        field = self.fields(np.asarray((self.to_grid @ m.T).T))
        return np.asarray((self.to_sensors @ field.T).T).reshape(*xi.shape[:-1], -1)

    def linearize(self, xi: Array) -> Linearization:
        at = self.fields.linearize(np.asarray(self.to_grid @ self.prior.unwhiten(xi)))
        back, across = self.to_sensors.T.tocsr(), self.to_grid.T.tocsr()
        return Linearization(
            np.asarray(self.to_sensors @ at.value),
            lambda v: self.to_sensors @ at.jvp(self.to_grid @ self.prior.unwhiten_jvp(xi, v)),
            lambda w: self.prior.unwhiten_vjp(xi, across @ at.vjp(back @ w)),
        )


@dataclass(frozen=True)
class Fno:
    """A trained operator with all that is needed to use it again.

    Attributes:
        architecture: size of the network.
        weights: arrays of the network by name.
        scaling: of coefficient and field, on the training grid.
        grid: the training grid.
        record: metadata.
    """

    architecture: Architecture
    weights: Mapping[str, Any]
    scaling: FieldScaling
    grid: Grid
    record: Record

    name: ClassVar[str] = "fno"
    Config: ClassVar[type[Config]] = FnoConfig

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See :class:`pdeinv.surrogates.record.Record`."""
        return self.record.as_json()

    @classmethod
    def fit(
        cls,
        dataset: TrainingSet,
        problem: Problem,
        config: FnoConfig,
        seed: int,
        run: FitRun | None = None,
    ) -> Fno:
        """Train on the data set's pairs of fields; a tenth each validates and tests.

        Raises:
            ConfigError: ``log_input`` with a coefficient that is not positive.
            DataSchemaError: the data set has no fields on a plane grid.
            Preempted: a stop was asked for; the training is saved.
            RunFailed: the loss is not finite.
            SurrogateRejected: the data set belongs to another problem.
        """
        run = run or FitRun()
        identity = Identity.of_dataset(dataset)
        coefficient, field = _gridded(dataset)
        identity.check(problem, problem.prior())
        split = Split.of(dataset.size, seed)
        log_input = _log_input(coefficient, config)
        scaling = FieldScaling.fit(coefficient[split.train], field[split.train], log_input)
        architecture = _architecture(config, field.shape[1:])
        module = seeded(seed, cls.name, 0, lambda: build(architecture, scaling.envelope))
        data = _training_data(scaling, coefficient, field, split)
        history = train(module, data, _loss(scaling), config, seed, run)
        noise_std = reference_noise(dataset.values[split.train], run.noise_std, config.noise_rel)
        record = Record(
            cls.name,
            identity,
            dataset.xi[split.train].min(axis=0),
            dataset.xi[split.train].max(axis=0),
            noise_std,
            config.model_dump(mode="json"),
            seed,
            dataset.digest,
            dataset.level,
            split.sizes,
            {},
            {
                "epochs": len(history.train),
                "best_epoch": history.best_epoch,
                "grid": list(scaling.mean.shape),
                "axes": list(dataset.axes),
                "log_input": log_input,
                "architecture": {**asdict(architecture), "modes": list(architecture.modes)},
            },
        )
        (slow, y), (fast, x) = dataset.axes.items()
        fitted = cls(architecture, to_arrays(module), scaling, Grid((slow, fast), y, x), record)
        return replace(
            fitted, record=replace(record, errors=fitted._errors(dataset, split.test, noise_std))
        )

    def _errors(self, dataset: TrainingSet, test: Index, noise_std: Array) -> dict[str, float]:
        """On held-out samples: at the sensors, and ``field_relative_l2`` on the grid."""
        assert dataset.coefficient is not None and dataset.field is not None  # noqa: PT018
        found = self._field_map(self.grid)(dataset.coefficient[test])
        true = dataset.field[test].reshape(len(test), -1)
        at_sensors = (self._to_sensors(dataset.sensors, self.grid) @ found.T).T
        return {
            **heldout_errors(np.asarray(at_sensors), dataset.values[test], noise_std),
            "field_relative_l2": heldout_errors(found, true, np.ones(1))["relative_l2"],
        }

    def save(self, folder: Path) -> None:
        """Write weights, scalings, grid and the metadata."""
        s = self.scaling
        arrays = {f"network.{k}": v for k, v in self.weights.items()} | {
            "coefficient": np.array([s.centre, s.spread]),
            "field_mean": s.mean,
            "field_scale": np.array([s.scale]),
            "envelope": s.envelope,
            "axis.0": self.grid.y,
            "axis.1": self.grid.x,
        }
        save_folder(folder, arrays, self.record.as_json())

    @classmethod
    def load(cls, folder: Path) -> Fno:
        """What :meth:`save` wrote.

        Raises:
            DataSchemaError: the folder does not hold an operator surrogate.
        """
        a, metadata = load_folder(folder, cls.name)
        record = Record.from_json(metadata, folder)
        try:
            size, names = record.extra["architecture"], record.extra["axes"]
            return cls(
                Architecture(
                    (size["modes"][0], size["modes"][1]),
                    size["width"],
                    size["layers"],
                    size["padding"],
                ),
                {k.removeprefix("network."): v for k, v in a.items() if k.startswith("network.")},
                FieldScaling(
                    bool(record.extra["log_input"]),
                    float(a["coefficient"][0]),
                    float(a["coefficient"][1]),
                    a["field_mean"],
                    float(a["field_scale"][0]),
                    a["envelope"],
                ),
                Grid((names[0], names[1]), a["axis.0"], a["axis.1"]),
                record,
            )
        except (KeyError, TypeError) as error:
            raise DataSchemaError(f"{folder}: entry {error} is missing; train it again") from None

    def bind(
        self,
        problem: Problem,
        prior: Prior,
        sensors: Sensors,
        shape: tuple[int, int] | None = None,
    ) -> ForwardModel:
        """The operator as a forward model on xi, for any sensors inside the grid.

        Args:
            problem: the one it was trained for; gives the coefficient on the grid.
            prior: the one it was trained for.
            sensors: where the data are.
            shape: nodes along y and x of the grid to compute on; None takes the training grid.

        Raises:
            ConfigError: ``shape`` is too small.
            SurrogateRejected: trained for another problem or prior, or a sensor lies outside.
        """
        self.record.identity.check(problem, prior)
        shape = shape or self.grid.shape
        if len(shape) != 2 or min(shape) < 3:
            raise ConfigError(f"shape: expected two numbers (y, x) of at least 3, got {shape}")
        grid = self.grid.resized(shape)
        return BoundModel(
            _Emulator(
                prior,
                problem.grid_operator(shape),
                self._field_map(grid),
                self._to_sensors(sensors, grid),
            ),
            prior.dim,
            data_space(self.record.identity.observed, sensors),
            RangeWatch(self.record.low, self.record.high, self.name),
            report=self.metadata,
        )

    def _field_map(self, grid: Grid) -> FieldMap:
        scaling = self.scaling.on(self.grid, grid)
        module = from_arrays(self.architecture, scaling.envelope, self.weights)
        return FieldMap(in_double(module), scaling, grid.shape)

    def _to_sensors(self, sensors: Sensors, grid: Grid) -> Any:
        """Interpolation from the grid.

        Raises:
            SurrogateRejected: other coordinates, or a sensor outside the grid.
        """
        names = grid.names
        if sorted(sensors) != sorted(names):
            raise SurrogateRejected(
                f"surrogate was trained for sensor coordinates {', '.join(sorted(names))}, this "
                f"run has {', '.join(sorted(sensors))}; train it again"
            )
        points = np.stack([np.asarray(sensors[n], dtype=np.float64) for n in names], axis=1)
        outside = np.flatnonzero(grid.outside(points))
        if len(outside):
            place = ", ".join(
                f"{n} = {v:g}" for n, v in zip(names, points[outside[0]], strict=True)
            )
            raise SurrogateRejected(
                f"{len(outside)} of {len(points)} sensors lie outside the grid that the surrogate "
                f"was trained on, the first at {place}; leave them out"
            )
        return grid.interpolation(points)


def _gridded(dataset: TrainingSet) -> tuple[Array, Array]:
    """Coefficient and field of a data set, checked.

    Raises:
        DataSchemaError: absent, not on a plane grid, or not finite.
    """
    coefficient, field = dataset.coefficient, dataset.field
    if coefficient is None or field is None:
        raise DataSchemaError(
            "surrogate 'fno' learns from fields on a grid and the data set has none; "
            "use 'generate --grid 33x33'"
        )
    if len(dataset.axes) != 2 or sorted(dataset.axes) != sorted(dataset.sensors):
        raise DataSchemaError(
            f"surrogate 'fno' expects data at places on a plane grid; the grid has the axes "
            f"{', '.join(dataset.axes)} and the data the coordinates {', '.join(dataset.sensors)}; "
            "use 'latent' or 'multifidelity'"
        )
    for what, values in (("coefficient", coefficient), ("field", field)):
        if not np.isfinite(values).all():
            raise DataSchemaError(
                f"the {what} on the grid is not finite everywhere, perhaps because the domain does "
                "not fill its bounding box; use 'latent' or 'multifidelity'"
            )
    return coefficient, field


def _log_input(coefficient: Array, config: FnoConfig) -> bool:
    positive = bool((coefficient > 0).all())
    if config.log_input and not positive:
        raise ConfigError(
            f"log_input = true needs a positive coefficient, the data set's smallest is "
            f"{coefficient.min():g}; use log_input = false"
        )
    return positive if config.log_input is None else config.log_input


def _architecture(config: FnoConfig, shape: tuple[int, ...]) -> Architecture:
    """Frequencies are no more than the training grid resolves: others would stay untrained."""
    rows, columns = (min(config.modes, padded_size(n, config.padding) - 1) for n in shape)
    return Architecture((rows, columns), config.width, config.layers, config.padding)


def _training_data(scaling: FieldScaling, coefficient: Array, field: Array, split: Split) -> Data:
    return Data(
        *(
            part
            for rows in (split.train, split.valid)
            for part in (
                scaling.encode(coefficient[rows]),
                (field[rows] - scaling.mean) / scaling.scale,
            )
        )
    )


def _loss(scaling: FieldScaling) -> Loss:
    """The mean over samples of ‖error‖ / ‖field‖: no sample counts more for a larger field."""
    torch = import_torch()
    mean = torch.as_tensor(scaling.mean / scaling.scale, dtype=torch.float32)

    def loss(predicted: Any, target: Any) -> Any:
        error = (predicted - target).flatten(1)
        size = (target + mean.to(target.device)).flatten(1)
        norm = torch.linalg.vector_norm
        return (norm(error, dim=1) / norm(size, dim=1).clamp_min(1e-12)).mean()

    return loss
