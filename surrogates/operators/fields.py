"""Fields on a grid through a network: their scales, their grids and their derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.io.datasets import TrainingSet
from pdeinv.model.forward import Linearization
from pdeinv.typing import Array

from ..common.torch_env import torch
from ..training.config import Loss, summed_squares
from ..training.minibatches import blocks, moments
from .grid import Grid

__all__ = ["FieldMap", "FieldScaling", "gridded", "relative_loss"]

BLOCK = 32
"""Fields that go through the network at once; limits memory."""


@dataclass(frozen=True)
class FieldScaling:
    """Scales fitted on training fields alone.

    The coefficient is shifted and scaled by two numbers. The field loses its mean at each node and
    is divided by one number; ``envelope``, its standard deviation at each node over that number,
    multiplies the network's output, which is hence exact where the field is prescribed, and zero at
    the nodes of the bounding box that lie outside the domain. A field may have several channels
    (times, sources).

    Attributes:
        log_input: whether the coefficient's logarithm is scaled.
        centre: of the coefficient or its logarithm.
        spread: likewise, positive.
        mean: field, shape (*channels, n_y, n_x).
        scale: field units.
        envelope: shape (*channels, n_y, n_x).
        inside: which nodes lie in the domain, shape (n_y, n_x).
    """

    log_input: bool
    centre: float
    spread: float
    mean: Array
    scale: float
    envelope: Array
    inside: NDArray[np.bool_]

    @classmethod
    def fit(
        cls,
        coefficient: Any,
        field: Any,
        log_input: bool,
        inside: NDArray[np.bool_],
        rows: Any = None,
    ) -> FieldScaling:
        """From training samples, read in pieces.

        Args:
            coefficient: shape (n, n_y, n_x).
            field: shape (n, *channels, n_y, n_x).
            log_input: whether the coefficient's logarithm is scaled.
            inside: which nodes lie in the domain.
            rows: the training samples; all where None.
        """
        rows = np.arange(len(coefficient)) if rows is None else rows

        def read(values: Array) -> Array:
            return np.log(values[:, inside]) if log_input else values[:, inside]

        inputs = moments(coefficient, rows, read)
        outputs = moments(field, rows, lambda values: np.where(inside, values, 0.0))
        scale = float(np.sqrt(np.mean(outputs.std[..., inside] ** 2)))
        scale = scale if scale > 1e-12 * outputs.peak else 1.0
        return cls(
            log_input, inputs.centre,
            inputs.spread if inputs.spread > 1e-12 * inputs.peak else 1.0,
            outputs.mean, scale, outputs.std / scale, inside,
        )  # fmt: skip

    @classmethod
    def for_data(
        cls,
        coefficient: Array,
        modes: Array,
        log_input: bool,
        width: int,
        inside: NDArray[np.bool_],
    ) -> FieldScaling:
        """Where the output is no field but coefficients of the data, shape (n, n_modes).

        Args:
            coefficient: training samples, shape (n, n_y, n_x).
            modes: training samples.
            log_input: whether the coefficient's logarithm is read.
            width: channels that data are read off.
            inside: which nodes lie in the domain.
        """
        like = cls.fit(coefficient, np.zeros_like(coefficient), log_input, inside)
        scale = max(float(modes.std()), 1e-300)
        envelope = np.repeat(inside[None].astype(np.float64), width, axis=0)
        return replace(like, mean=np.zeros(modes.shape[1]), scale=scale, envelope=envelope)

    @property
    def of_data(self) -> bool:
        """Whether the output is no field."""
        return self.mean.ndim == 1

    def encode(self, coefficient: Array) -> Array:
        """The network's input, zero outside the domain; not a number where a logarithm does not
        exist.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.log(coefficient) if self.log_input else coefficient
            return np.where(self.inside, (values - self.centre) / self.spread, 0.0)

    def encode_field(self, field: Array) -> Array:
        """What the network is to give for fields, zero outside the domain."""
        if self.of_data:
            return np.asarray((field - self.mean) / self.scale)
        return np.where(self.inside, (field - self.mean) / self.scale, 0.0)

    def slope(self, coefficient: Array) -> Array:
        """The derivative of :meth:`encode`, node by node, for flat coefficients (..., nodes)."""
        with np.errstate(divide="ignore"):
            inner = 1.0 / coefficient if self.log_input else np.ones_like(coefficient)
        return np.where(self.inside.ravel(), inner / self.spread, 0.0)

    def on(self, grid: Grid, other: Grid) -> FieldScaling:
        """The same from ``grid`` to another one."""
        if grid is other:
            return self
        moved = grid.onto(other)
        inside = moved(self.inside.astype(np.float64)) > 0.5
        mean = self.mean if self.of_data else moved(self.mean)
        return replace(self, mean=mean, envelope=moved(self.envelope), inside=inside)


@dataclass(frozen=True)
class FieldMap:
    """The coefficient on a grid to the field there, in double precision.

    Attributes:
        network: a torch module of (n, y, x) to (n, *channels, y, x).
        scaling: on the same grid.
        shape: nodes along y and x.
    """

    network: Any
    scaling: FieldScaling
    shape: tuple[int, int]

    def _prepare(self, coefficient: Array) -> Any:
        fields = coefficient.reshape(-1, *self.shape)
        return torch.from_numpy(np.ascontiguousarray(self.scaling.encode(fields)))

    def _finish(self, value: Any) -> Array:
        field = self.scaling.mean + self.scaling.scale * value.numpy()
        return np.asarray(field.reshape(len(field), -1))

    def __call__(self, coefficient: Array) -> Array:
        """Fields (n, channels · nodes) of coefficients (n, nodes)."""
        z = self._prepare(coefficient)
        with torch.no_grad():
            parts = [self.network(z[i : i + BLOCK]) for i in range(0, len(z), BLOCK)]
        return self._finish(torch.cat(parts))

    def linearize(self, coefficient: Array) -> Linearization:
        """Value and derivative at one coefficient (nodes,)."""
        z = self._prepare(coefficient).requires_grad_()
        slope = self.scaling.scale * self.scaling.slope(coefficient)
        y = self.network(z)

        def along(array: Array, like: Any) -> Any:
            return torch.from_numpy(np.ascontiguousarray(array)).reshape(like.shape)

        def vjp(w: Array) -> Array:
            (pulled,) = torch.autograd.grad(y, z, along(w, y), retain_graph=True)
            return np.asarray(slope * pulled.numpy().ravel())

        # J v is the derivative of w -> J^T w: reverse mode twice keeps the one graph for all v
        dummy = torch.zeros_like(y, requires_grad=True)
        pulled = torch.autograd.grad(y, z, dummy, create_graph=True)[0]

        def jvp(v: Array) -> Array:
            (pushed,) = torch.autograd.grad(pulled, dummy, along(slope * v, z), retain_graph=True)
            return np.asarray(pushed.numpy().ravel())

        return Linearization(self._finish(y.detach())[0], jvp, vjp)


def gridded(dataset: TrainingSet, name: str) -> tuple[Any, Any, NDArray[np.bool_]]:
    """Coefficient and field of a data set, and which grid nodes lie in the domain, checked.

    A node where the first sample lacks the field lies outside; no other may lack more.

    Args:
        dataset: with fields on a grid.
        name: the surrogate's, for errors.

    Raises:
        DataSchemaError: absent, not on a plane grid, or not finite.
    """
    if dataset.coefficient is None or dataset.field is None:
        raise DataSchemaError(
            f"surrogate '{name}' learns from fields on a grid and the data set has none; "
            "use 'generate --grid 33x33'"
        )
    coordinates = sorted([*dataset.axes, *dataset.experiments])
    if len(dataset.axes) != 2 or coordinates != sorted(dataset.sensors):
        raise DataSchemaError(
            f"surrogate '{name}' expects data at places on a plane grid; the grid has the axes "
            f"{', '.join(coordinates)} and the data the coordinates {', '.join(dataset.sensors)}; "
            "use 'latent' or 'multifidelity'"
        )
    coefficient, field = dataset.coefficient, dataset.field
    first = np.asarray(field[0])
    inside = np.isfinite(first).reshape(-1, *first.shape[-2:]).any(axis=0)
    everything = np.arange(len(field))
    if not inside.any() or not _finite(field, everything, inside):
        raise DataSchemaError(
            "the field on the grid is not finite in some samples; generate the data set again"
        )
    if not _finite(coefficient, everything, inside):
        raise DataSchemaError(
            "the coefficient on the grid is not finite inside the domain; use 'latent' or "
            "'multifidelity'"
        )
    return coefficient, field, inside


def _finite(values: Any, rows: Any, inside: NDArray[np.bool_]) -> bool:
    """Whether all nodes inside are finite in all rows, read in pieces."""
    return all(bool(np.isfinite(part[..., inside]).all()) for part in blocks(values, rows))


def relative_loss(scaling: FieldScaling) -> Loss:
    """The mean over samples of ‖error‖ / ‖(field - mean, scale)‖: large departures do not rule.

    ``scale``, the rms departure of all training samples, keeps fields near the mean from ruling
    instead. Coefficients of data, already in units of the noise, are compared by their squares.
    """
    if scaling.of_data:
        return summed_squares
    # outside the domain target and prediction are zero and do not count
    places = int(scaling.inside.sum()) * math.prod(scaling.mean.shape[:-2])

    def loss(predicted: Any, target: Any) -> Any:
        error, departure = (predicted - target).flatten(1), target.flatten(1)
        size = (0.5 * (departure.square().sum(dim=1) + places)).sqrt()
        return (torch.linalg.vector_norm(error, dim=1) / size).mean()

    return loss
