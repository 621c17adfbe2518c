"""Neural operators from the coefficient on a grid to the measured field on that grid.

Unlike the other surrogates they know the whole field, hence predict at any sensors inside the grid,
and they work on grids of another resolution. The unknown reaches them as the problem's coefficient
field (``grid_operator``), so that one network serves any number of unknowns. A domain that does not
fill its bounding box is masked: nodes outside count in no loss and no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy import sparse

from pdeinv.bayes.prior import Prior
from pdeinv.errors import ConfigError
from pdeinv.model.forward import ForwardModel
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from ..common.lesson import Lesson
from ..common.record import Judgement, Record, heldout_errors
from ..common.scaling import Pod
from ..common.storage import under, within
from ..common.torch_env import seeded
from ..common.trained import Trained
from ..training.train import train
from ..training.weights import from_arrays, in_double, to_arrays
from .emulator import OnGrid, ReadOff
from .fields import FieldMap, FieldScaling, relative_loss
from .grid import Grid
from .network import Architecture, build, padded_size
from .rollout import build_rollout, restarted
from .stepping import Stepping
from .task import OperatorConfig, Task, log_input_of, scaling_of, task_of, training_data

__all__ = ["GridOperator", "OperatorConfig"]


@dataclass(frozen=True)
class GridOperator(Trained):
    """A trained operator with all that is needed to use it again.

    A registered operator is a subclass that states its name, its options and its kind of network.

    Attributes:
        architecture: size of the network.
        weights: arrays of the network by name.
        scaling: of coefficient and field, on the training grid.
        grid: the training grid.
        pod: the modes of data that are no values at places, else None.
        stepping: where the network goes from one time to the next, else None.
    """

    architecture: Architecture
    weights: Mapping[str, Any]
    scaling: FieldScaling
    grid: Grid
    pod: Pod | None = None
    stepping: Stepping | None = None

    learns_fields = True
    packages = frozenset({"torch", "neuralop"})

    @classmethod
    def needs(cls, config: Mapping[str, Any], training: bool) -> frozenset[str]:
        """The network itself, to use it too."""
        return cls.packages

    @classmethod
    def learn(cls, lesson: Lesson) -> Self:
        """Train on pairs of fields.

        Raises:
            ConfigError: ``log_input`` with a coefficient that is not positive, or steps in time
                with data that are no values of a field.
            DataSchemaError: the data set has no fields on a plane grid, or for steps none at
                several times or no first state that is known.
            Preempted: a stop was asked for; the training is saved.
            RunFailed: the loss is not finite.
        """
        config, seed, rows = lesson.config, lesson.seed, lesson.split.train
        task = task_of(cls.name, lesson)
        log_input = log_input_of(task, config)
        scaling = scaling_of(task, rows, log_input, config.width)
        stepping = Stepping.fit(task, scaling, rows) if config.time == "steps" else None
        architecture = cls.architecture_of(config, task.grid.shape)
        if task.pod is not None:
            architecture = replace(architecture, outputs=task.pod.n_modes)
        if stepping is not None:
            architecture = replace(architecture, inputs=stepping.inputs)
        module = seeded(seed, cls.name, 0, lambda: _network(architecture, scaling, stepping))
        data = training_data(scaling, task, lesson.split)
        data = data if stepping is None else restarted(data, config.unroll)
        history = train(module, data, relative_loss(scaling), config, seed, lesson.run)
        extra = {
            **history.summary(),
            "grid": list(scaling.inside.shape),
            "nodes_outside": int(np.sum(~task.inside)),
            "axes": list(task.grid.names),
            "experiments": {k: np.asarray(v).tolist() for k, v in task.experiments.items()},
            "log_input": log_input,
            "architecture": architecture.as_json(),
            **({} if stepping is None else stepping.summary()),
        }
        record, weights = lesson.record(cls, extra), to_arrays(module)
        fitted = cls(record, architecture, weights, scaling, task.grid, task.pod, stepping)
        return replace(fitted, record=replace(record, errors=fitted._errors(lesson, task)))

    def judge(self, lesson: Lesson) -> Judgement:
        """Nothing more: the errors were measured where the fields were at hand."""
        return Judgement({})

    def _errors(self, lesson: Lesson, task: Task) -> dict[str, float]:
        """On held-out samples: of the data, and ``field_relative_l2`` on the grid."""
        test, dataset = lesson.split.test, lesson.dataset
        read = self._read_off(dataset.sensors, self.grid)
        found = read.fields(task.coefficient[test].reshape(len(test), -1))
        data, mean = dataset.values[test], lesson.values.mean(axis=0)
        errors = heldout_errors(read.read(found), data, lesson.noise_std, mean)
        if task.pod is not None:
            return errors
        true = np.where(task.inside, task.target[test], 0.0).reshape(len(test), -1)
        centre = self.scaling.mean.reshape(-1)
        field_error = heldout_errors(found, true, np.ones(1), centre)["relative_l2"]
        return {**errors, "field_relative_l2": field_error}

    def arrays(self) -> dict[str, Array]:
        """Weights, scalings and grid."""
        s = self.scaling
        more = [part.arrays() for part in (self.pod, self.stepping) if part is not None]
        return {
            **under("network.", self.weights),
            "coefficient": np.array([s.centre, s.spread]),
            "field_mean": s.mean,
            "field_scale": np.array([s.scale]),
            "envelope": s.envelope,
            "inside": s.inside.astype(np.uint8),
            "axis.0": self.grid.y,
            "axis.1": self.grid.x,
            **{name: a for part in more for name, a in part.items()},
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], record: Record) -> Self:
        """The inverse of :meth:`arrays`."""
        a, (slow, fast) = arrays, record.extra["axes"]
        centre, spread = map(float, a["coefficient"])
        inside = np.asarray(a.get("inside", np.ones(a["envelope"].shape[-2:])), dtype=bool)
        log_input, scale = bool(record.extra["log_input"]), float(a["field_scale"][0])
        return cls(
            record,
            Architecture.from_json(record.extra["architecture"]),
            within("network.", a),
            FieldScaling(log_input, centre, spread, a["field_mean"], scale, a["envelope"], inside),
            Grid((slow, fast), a["axis.0"], a["axis.1"]),
            Pod.from_arrays(a) if "pod_basis" in a else None,
            Stepping.from_arrays(a) if "step_start" in a else None,
        )

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
        read = self._read_off(sensors, self.grid.resized(shape))
        return self.bound(OnGrid(prior, problem.grid_operator(shape), read), prior, sensors)

    @classmethod
    def architecture_of(cls, config: Any, shape: tuple[int, ...]) -> Architecture:
        """The network's size on a grid of ``shape`` (y, x).

        Frequencies are no more than the training grid resolves: others would stay untrained.
        """
        rows, columns = (min(config.modes, padded_size(n, config.padding) - 1) for n in shape)
        return Architecture((rows, columns), config.width, config.layers, config.padding, cls.name)

    def _read_off(self, sensors: Sensors, grid: Grid) -> ReadOff:
        """From the coefficient on ``grid`` to the data.

        Raises:
            SurrogateRejected: a sensor that cannot be predicted.
        """
        scaling = self.scaling.on(self.grid, grid)
        stepping = None if self.stepping is None else self.stepping.on(self.grid, grid)
        module = from_arrays(lambda: _network(self.architecture, scaling, stepping), self.weights)
        fields = FieldMap(in_double(module), scaling, grid.shape)
        if self.pod is None:
            matrix = grid.readout(scaling.inside, self.experiments, sensors)
            return ReadOff(fields, matrix, np.zeros(1))
        chosen = self.record.identity.select(sensors)
        matrix = sparse.csr_array(self.pod.decoder[:, chosen].T)
        return ReadOff(fields, matrix, self.pod.mean[chosen])

    @property
    def experiments(self) -> dict[str, Array]:
        """What the field varies over beside place, as trained."""
        return {k: np.asarray(v) for k, v in self.record.extra["experiments"].items()}


def _network(architecture: Architecture, scaling: FieldScaling, stepping: Stepping | None) -> Any:
    """From encoded coefficients to encoded fields."""
    if stepping is None:
        return build(architecture, scaling.envelope)
    return build_rollout(architecture, scaling, stepping)
