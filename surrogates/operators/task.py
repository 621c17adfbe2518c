"""What an operator on a grid is made of: its options, its task and its emulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pdeinv.config import Width
from pdeinv.errors import ConfigError
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.grid_axes import grid_axes
from pdeinv.plugins.hooks import mask
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from ..common.lesson import Lesson
from ..common.scaling import Pod
from ..common.split import Index, Split
from ..training.config import Data, TrainingConfig
from ..training.minibatches import Rows, blocks, is_lazy
from .fields import FieldScaling, gridded
from .grid import Grid
from .places import Places

__all__ = [
    "OperatorConfig",
    "Task",
    "log_input_of",
    "scaling_of",
    "task_of",
    "training_data",
]


class OperatorConfig(TrainingConfig):
    """Options of every operator on a grid."""

    epochs: int = Field(60, ge=1, description="passes over the training samples at most")
    batch_size: int = Field(
        8, ge=1, description="samples of one gradient step; with time = steps 2 where not given"
    )
    learning_rate: float = Field(6e-3, gt=0, description="at the start; follows half a cosine to 0")
    modes: int = Field(16, ge=2, description="frequencies kept along each axis, negative counted")
    width: Width = Field(16, ge=2, description="channels")
    layers: int = Field(4, ge=1, le=1000, description="Fourier layers")
    padding: float = Field(0.25, ge=0, le=1, description="share by which the domain is extended")
    log_input: bool | None = Field(
        None, description="learn from log(coefficient); absent: where all samples are positive"
    )
    time: Literal["trajectory", "steps"] = Field(
        "trajectory",
        description="all times as one output, or the state at one time from that before",
    )
    unroll: int = Field(
        4, ge=1, description="steps in a row through which the loss sees errors, with time = steps"
    )
    grid: int = Field(
        33, ge=8, description="nodes along each side, where the data are not values at places"
    )
    tolerance: float = Field(0.05, gt=0, description="rms truncation of such data, in units of σ")

    @model_validator(mode="before")
    @classmethod
    def _few_trajectories(cls, data: Any) -> Any:
        """A trajectory holds many steps, hence fewer of them make a gradient."""
        if isinstance(data, dict) and data.get("time") == "steps":
            return {"batch_size": 2, **data}
        return data


@dataclass(frozen=True)
class Task:
    """What an operator is to learn.

    Attributes:
        grid: of the coefficient.
        coefficient: shape (n, y, x), an array or what is read by rows.
        target: fields (n, *experiments, y, x), or coefficients of the data (n, n_modes); likewise.
        inside: which nodes lie in the domain.
        experiments: leading axes of the fields.
        pod: the modes of the data, where those are the target.
    """

    grid: Grid
    coefficient: Any
    target: Any
    inside: NDArray[np.bool_]
    experiments: Mapping[str, Array] = field(default_factory=dict)
    pod: Pod | None = None


def _measures_places(problem: Problem, dataset: TrainingSet) -> bool:
    """Whether the data are values of a field at places of the grid, so that fields there hold them.

    Voltages are not, nor are waves at receivers around the region where the unknown lives.
    """
    nodes = problem.grid((3, 3))
    if not set(nodes) <= set(problem.observed.coords):
        return False
    box = Places.around({n: nodes[n] for n in dataset.axes or grid_axes(nodes, (3, 3))})
    return not box.outside(dataset.sensors).any()


def _field_task(dataset: TrainingSet, name: str) -> Task:
    """From coefficient fields to the measured field.

    Raises:
        DataSchemaError: the data set has no fields on a plane grid.
    """
    coefficient, target, body = gridded(dataset, name)
    (slow, y), (fast, x) = dataset.axes.items()
    grid = Grid((slow, fast), np.asarray(y), np.asarray(x))
    return Task(grid, coefficient, target, body, dataset.experiments)


def _readout_task(lesson: Lesson) -> Task:
    """From coefficient fields to data that are no values at places (voltages, far fields).

    The data set needs no fields: the coefficient follows from xi.
    """
    problem, dataset, config = lesson.problem, lesson.dataset, lesson.config
    shape = (config.grid, config.grid)
    nodes = problem.grid(shape)
    (slow, y), (fast, x) = grid_axes(nodes, shape).items()
    m = problem.prior().unwhiten(dataset.xi)
    coefficient = np.asarray((problem.grid_operator(shape) @ m.T).T).reshape(-1, *shape)
    places = np.stack([nodes[name] for name in sorted(nodes)], axis=1)
    body = mask(problem, places).reshape(shape)
    pod = Pod.fit(lesson.values, lesson.noise_std, config.tolerance)
    target = pod.encode(dataset.values)
    return Task(Grid((slow, fast), y, x), coefficient, target, body, {}, pod)


def log_input_of(task: Task, config: OperatorConfig) -> bool:
    """Whether the network reads the coefficient's logarithm.

    Raises:
        ConfigError: asked for where the coefficient is not positive.
    """
    parts = blocks(task.coefficient, np.arange(len(task.coefficient)))
    smallest = min(float(part[:, task.inside].min()) for part in parts)
    positive = smallest > 0
    if config.log_input and not positive:
        raise ConfigError(
            f"log_input = true needs a positive coefficient, the data set's smallest is "
            f"{smallest:g}; use log_input = false"
        )
    return positive if config.log_input is None else config.log_input


def task_of(name: str, lesson: Lesson) -> Task:
    """Fields where the data are values at places, the data themselves where they are not.

    Raises:
        ConfigError: the unknown is no field; the problem says what learns from it.
        DataSchemaError: the data set has no fields on a plane grid.
    """
    if lesson.dataset.coefficient is None:
        lesson.problem.grid_operator((3,) * len(lesson.problem.axes))
    if _measures_places(lesson.problem, lesson.dataset):
        return _field_task(lesson.dataset, name)
    return _readout_task(lesson)


def scaling_of(task: Task, train: Index, log_input: bool, width: int) -> FieldScaling:
    """Scales of the training samples; data are read off ``width`` channels."""
    if task.pod is None:
        return FieldScaling.fit(task.coefficient, task.target, log_input, task.inside, train)
    coefficient, modes = task.coefficient[train], task.target[train]
    return FieldScaling.for_data(coefficient, modes, log_input, width, task.inside)


def training_data(scaling: FieldScaling, task: Task, split: Split) -> Data:
    """What the loop reads: arrays, or rows of a file where the data set is large."""
    pairs = ((task.coefficient, scaling.encode), (task.target, scaling.encode_field))
    found = [
        Rows((source,), rows, encode) if is_lazy(source) else encode(source[rows])
        for rows in (split.train, split.valid)
        for source, encode in pairs
    ]
    return Data(*found)
