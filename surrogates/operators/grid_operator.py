"""Neural operators from the coefficient on a grid to the measured field on that grid.

Unlike the other surrogates they know the whole field, hence predict at any sensors inside the grid,
and they work on grids of another resolution. The unknown reaches them as the problem's coefficient
field (``grid_operator``), so that one network serves any number of unknowns. A domain that does not
fill its bounding box is masked: nodes outside count in no loss and no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse

from pdeinv.bayes.prior import Prior
from pdeinv.config import Config
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.forward import ForwardModel
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from ..common.bound import BoundModel, RangeWatch
from ..common.fitting import FitRun, Index, Split
from ..common.identity import Identity, data_space
from ..common.record import Record, heldout_errors
from ..common.scaling import Pod, reference_noise
from ..common.storage import load_folder, save_folder
from ..training.train import seeded, train
from .fields import FieldMap, FieldScaling, relative_loss
from .grid import Grid
from .grid_readout import to_sensors
from .network import Architecture, Kind, build, padded_size
from .rollout import build_rollout, restarted
from .spectral_weights import from_arrays, in_double, to_arrays
from .stepping import Stepping
from .task import (
    OperatorConfig,
    OperatorEmulator,
    Task,
    log_input_of,
    scaling_of,
    task_of,
    training_data,
)

__all__ = ["GridOperator", "OperatorConfig"]


@dataclass(frozen=True)
class GridOperator:
    """A trained operator with all that is needed to use it again.

    A registered operator is a subclass that states its name, its options and its kind of network.

    Attributes:
        architecture: size of the network.
        weights: arrays of the network by name.
        scaling: of coefficient and field, on the training grid.
        grid: the training grid.
        record: metadata.
        pod: the modes of data that are no values at places, else None.
        stepping: where the network goes from one time to the next, else None.
    """

    architecture: Architecture
    weights: Mapping[str, Any]
    scaling: FieldScaling
    grid: Grid
    record: Record
    pod: Pod | None = None
    stepping: Stepping | None = None

    name: ClassVar[str]
    Config: ClassVar[type[Config]]
    kind: ClassVar[Kind]

    @property
    def metadata(self) -> Mapping[str, Any]:
        """See :class:`pdeinv.surrogates.common.record.Record`."""
        return self.record.as_json()

    @classmethod
    def fit(
        cls,
        dataset: TrainingSet,
        problem: Problem,
        config: OperatorConfig,
        seed: int,
        run: FitRun | None = None,
    ) -> Self:
        """Train on the data set's pairs of fields; a tenth each validates and tests.

        Raises:
            ConfigError: ``log_input`` with a coefficient that is not positive, or steps in time
                with data that are no values of a field.
            DataSchemaError: the data set has no fields on a plane grid, or for steps none at
                several times or no first state that is known.
            Preempted: a stop was asked for; the training is saved.
            RunFailed: the loss is not finite.
            SurrogateRejected: the data set belongs to another problem.
        """
        run = run or FitRun()
        Identity.of_dataset(dataset).check(problem, problem.prior())
        split = Split.of(dataset.size, seed)
        task = task_of(cls.name, dataset, problem, (config, split.train, run))
        log_input = log_input_of(task, config)
        scaling = scaling_of(task, split.train, (log_input, config.width))
        stepping = Stepping.fit(task, scaling, split.train) if config.time == "steps" else None
        architecture = cls.architecture_of(config, task.grid.shape)
        if task.pod is not None:
            architecture = replace(architecture, outputs=task.pod.n_modes)
        if stepping is not None:
            architecture = replace(architecture, inputs=stepping.inputs)
        module = seeded(seed, cls.name, 0, lambda: _network(architecture, scaling, stepping))
        data = training_data(scaling, task, split)
        data = data if stepping is None else restarted(data, config.unroll)
        history = train(module, data, relative_loss(scaling), config, seed, run)
        extra = {
            "epochs": len(history.train),
            "best_epoch": history.best_epoch,
            "grid": list(scaling.inside.shape),
            "nodes_outside": int(np.sum(~task.inside)),
            "axes": list(task.grid.names),
            "experiments": {k: np.asarray(v).tolist() for k, v in task.experiments.items()},
            "log_input": log_input,
            "architecture": architecture.as_json(),
            **({} if stepping is None else stepping.summary()),
        }
        noise_std = reference_noise(dataset.values[split.train], run.noise_std, config.noise_rel)
        record = Record.of(
            cls.name,
            dataset,
            rows=split.train,
            how=(config, seed, noise_std),
            sizes=split.sizes,
            errors={},
            extra=extra,
        )
        weights = to_arrays(module)
        fitted = cls(architecture, weights, scaling, task.grid, record, task.pod, stepping)
        errors = fitted._errors(dataset, task, split.test)
        return replace(fitted, record=replace(record, errors=errors))

    def _errors(self, dataset: TrainingSet, task: Task, test: Index) -> dict[str, float]:
        """On held-out samples: of the data, and ``field_relative_l2`` on the grid."""
        found = self._field_map(self.grid)(task.coefficient[test].reshape(len(test), -1))
        to_data, offset = self._to_data(dataset.sensors, self.grid)
        data = np.asarray(offset + (to_data @ found.T).T)
        errors = heldout_errors(data, dataset.values[test], self.record.noise_std)
        if task.pod is not None:
            return errors
        true = np.where(task.inside, task.target[test], 0.0).reshape(len(test), -1)
        field_error = heldout_errors(found, true, np.ones(1))["relative_l2"]
        return {**errors, "field_relative_l2": field_error}

    def save(self, folder: Path) -> None:
        """Write weights, scalings, grid and the metadata."""
        s = self.scaling
        arrays = {f"network.{k}": v for k, v in self.weights.items()} | {
            "coefficient": np.array([s.centre, s.spread]),
            "field_mean": s.mean,
            "field_scale": np.array([s.scale]),
            "envelope": s.envelope,
            "inside": s.inside.astype(np.uint8),
            "axis.0": self.grid.y,
            "axis.1": self.grid.x,
        }
        for part in (self.pod, self.stepping):
            arrays |= {} if part is None else part.arrays()
        save_folder(folder, arrays, self.record.as_json())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What :meth:`save` wrote.

        Raises:
            DataSchemaError: the folder does not hold an operator surrogate.
        """
        a, metadata = load_folder(folder, cls.name)
        record = Record.from_json(metadata, folder)
        try:
            names = record.extra["axes"]
            pod = Pod.from_arrays(a) if "pod_basis" in a else None
            stepping = Stepping.from_arrays(a) if "step_start" in a else None
            return cls(
                Architecture.from_json(record.extra["architecture"]),
                {k.removeprefix("network."): v for k, v in a.items() if k.startswith("network.")},
                FieldScaling(
                    bool(record.extra["log_input"]),
                    float(a["coefficient"][0]),
                    float(a["coefficient"][1]),
                    a["field_mean"],
                    float(a["field_scale"][0]),
                    a["envelope"],
                    np.asarray(a.get("inside", np.ones(a["envelope"].shape[-2:])), dtype=bool),
                ),
                Grid((names[0], names[1]), a["axis.0"], a["axis.1"]),
                record,
                pod,
                stepping,
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
            OperatorEmulator(
                prior,
                problem.grid_operator(shape),
                self._field_map(grid),
                *self._to_data(sensors, grid),
            ),
            prior.dim,
            data_space(self.record.identity.observed, sensors),
            RangeWatch(self.record.low, self.record.high, self.name),
            report=self.metadata,
        )

    @classmethod
    def architecture_of(cls, config: OperatorConfig, shape: tuple[int, ...]) -> Architecture:
        """The network's size on a grid of ``shape`` (y, x).

        Frequencies are no more than the training grid resolves: others would stay untrained.
        """
        rows, columns = (min(config.modes, padded_size(n, config.padding) - 1) for n in shape)
        return Architecture((rows, columns), config.width, config.layers, config.padding, cls.kind)

    def _field_map(self, grid: Grid) -> FieldMap:
        scaling = self.scaling.on(self.grid, grid)
        stepping = None if self.stepping is None else self.stepping.on(self.grid, grid)
        module = from_arrays(lambda: _network(self.architecture, scaling, stepping), self.weights)
        return FieldMap(in_double(module), scaling, grid.shape)

    def _to_data(self, sensors: Sensors, grid: Grid) -> tuple[Any, Array]:
        """The matrix from the network's output to the data, and what is added.

        Raises:
            SurrogateRejected: a sensor that cannot be predicted.
        """
        if self.pod is None:
            inside = self.scaling.on(self.grid, grid).inside
            return to_sensors(grid, inside, self.experiments, sensors), np.zeros(1)
        chosen = self.record.identity.select(sensors)
        return sparse.csr_array(self.pod.decoder[:, chosen].T), self.pod.mean[chosen]

    @property
    def experiments(self) -> dict[str, Array]:
        """What the field varies over beside place, as trained."""
        return {k: np.asarray(v) for k, v in self.record.extra["experiments"].items()}


def _network(architecture: Architecture, scaling: FieldScaling, stepping: Stepping | None) -> Any:
    """From encoded coefficients to encoded fields."""
    if stepping is None:
        return build(architecture, scaling.envelope)
    return build_rollout(architecture, scaling, stepping)
