"""Minibatches by row numbers: from memory, or read ahead by a thread where data are larger.

A member of :class:`~pdeinv.surrogates.training.loop.Data` that is a plain array goes to the device
once.
Anything else with ``shape``, ``len`` and ``[rows]`` (a memory map, a file's variable) is read row
by row, a few minibatches ahead, while the network computes. Where its rows are drawn anew in each
epoch it has a method ``begin``, which is told the number of the epoch.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pdeinv.typing import Array

from ..common.torch_env import torch

__all__ = ["Minibatches", "Moments", "Rows", "blocks", "is_lazy", "moments", "take"]

AHEAD = 4
"""Minibatches that are ready or being read."""
BLOCK_BYTES = 2**26
"""Size of the pieces that a pass over all rows reads."""
DEVICE_SHARE = 0.25
"""Largest part of a GPU's free memory that samples may fill."""


def is_lazy(array: Any) -> bool:
    """Whether ``array`` is to be read by rows rather than held in memory."""
    if isinstance(array, np.memmap):
        return True
    held = isinstance(array, np.ndarray | list | tuple) or hasattr(array, "detach")
    return not held and hasattr(array, "shape") and hasattr(array, "__getitem__")


def take(array: Any, rows: Any) -> Array:
    """The rows of an array or array-like, in the order asked for.

    Files are read in the order in which they lie, each row once, since most refuse another order.
    """
    if not is_lazy(array) or isinstance(array, Rows):
        return np.asarray(array[rows])
    ordered, back = np.unique(rows, return_inverse=True)
    return np.asarray(array[ordered])[back]


@dataclass(frozen=True)
class Rows:
    """Some rows of array-likes, passed through ``encode`` when they are read.

    Attributes:
        sources: arrays or array-likes.
        rows: which of their rows, in this order.
        encode: from (k, ...) rows of each source to (k, ...) values.
        tail: shape of one encoded row; None if encoding keeps that of the first source.
    """

    sources: tuple[Any, ...]
    rows: Any
    encode: Callable[..., Array]
    tail: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole."""
        return len(self.rows), *(self.sources[0].shape[1:] if self.tail is None else self.tail)

    def __getitem__(self, index: Any) -> Array:
        return np.asarray(self.encode(*(take(one, self.rows[index]) for one in self.sources)))


def blocks(array: Any, rows: Any) -> Iterator[Array]:
    """The given rows of an array-like in pieces that fit into memory."""
    each = max(1, int(np.prod(array.shape[1:], dtype=np.int64))) * 8
    size = max(1, BLOCK_BYTES // each)
    for i in range(0, len(rows), size):
        yield take(array, rows[i : i + size])


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation, at each place and over all of them.

    Attributes:
        mean: shape of one row.
        std: likewise.
        centre: mean over everything.
        spread: standard deviation over everything.
        peak: largest absolute value.
    """

    mean: Array
    std: Array
    centre: float
    spread: float
    peak: float


def moments(
    array: Any, rows: Any, encode: Callable[[Array], Array] = lambda values: values
) -> Moments:
    """Of the given rows of an array-like, in one pass over pieces (Chan, Golub, LeVeque 1983).

    Args:
        array: shape (n, ...).
        rows: row numbers; only these are read.
        encode: applied to the rows first.
    """
    n, count, peak = 0, 0, 0.0
    mean: Any = 0.0
    square: Any = 0.0
    centre = spread = 0.0
    for block in blocks(array, rows):
        values = encode(block)
        k, size = len(values), values.size
        mean, square = _merged((n, mean, square), (k, *_sums(values, 0)))
        centre, spread = _merged((count, centre, spread), (size, *_sums(values, None)))
        n, count, peak = n + k, count + size, max(peak, float(np.abs(values).max(initial=0.0)))
    return Moments(
        np.asarray(mean), np.sqrt(square / n), float(centre), float(np.sqrt(spread / count)), peak
    )


def _sums(values: Array, axis: int | None) -> tuple[Any, Any]:
    """Mean and sum of squared deviations."""
    mean = values.mean(axis=axis)
    return mean, ((values - mean) ** 2).sum(axis=axis)


def _merged(one: tuple[int, Any, Any], two: tuple[int, Any, Any]) -> tuple[Any, Any]:
    """Mean and sum of squared deviations of two groups of samples."""
    n, mean, square = one
    k, other, more = two
    if n == 0:
        return other, more
    gap = other - mean
    return mean + gap * (k / (n + k)), square + more + gap**2 * (n * k / (n + k))


@dataclass
class Minibatches:
    """Pairs of input and target on the device, for lists of row numbers.

    Attributes:
        x: inputs, array or array-like.
        y: targets.
        dtype: torch type of real values.
        device: torch device.
        waited: seconds that the training stood still for want of data.
    """

    x: Any
    y: Any
    dtype: Any
    device: Any
    waited: float = 0.0
    streams: bool = field(init=False)

    def __post_init__(self) -> None:
        self.streams = is_lazy(self.x) or is_lazy(self.y) or not self._fits()
        if not self.streams:
            self.x, self.y = self._tensor(self.x), self._tensor(self.y)

    def __len__(self) -> int:
        return len(self.x)

    def _fits(self) -> bool:
        """Whether the device can hold all samples beside the network."""
        if self.device.type != "cuda":
            return True
        size = self.dtype.itemsize * (np.size(self.x) + np.size(self.y))
        return bool(size < DEVICE_SHARE * torch.cuda.mem_get_info(self.device)[0])

    def _tensor(self, values: Any) -> Any:
        kind = np.float64 if self.dtype == torch.float64 else np.float32
        tensor = torch.as_tensor(np.require(values, kind, ["C", "W"]))
        if self.streams and self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def begin(self, epoch: int) -> None:
        """Tell members that draw their rows anew which epoch follows."""
        for part in (self.x, self.y):
            if hasattr(part, "begin"):
                part.begin(epoch)

    def _read(self, rows: Any) -> tuple[Any, Any]:
        return self._tensor(take(self.x, rows)), self._tensor(take(self.y, rows))

    def each(self, lists: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """One pair for each list of row numbers, in order."""
        if self.streams:
            yield from self._ahead(lists)
            return
        for rows in lists:
            index = torch.as_tensor(rows, device=self.device)
            yield self.x[index], self.y[index]

    def _ahead(self, lists: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """The same with a thread that reads ahead."""
        waiting: deque[Future[tuple[Any, Any]]] = deque()
        todo = iter(lists)
        with ThreadPoolExecutor(1, "pdeinv-batches") as pool:
            try:
                for rows in todo:
                    waiting.append(pool.submit(self._read, rows))
                    if len(waiting) >= AHEAD:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _next(self, waiting: deque[Future[tuple[Any, Any]]]) -> tuple[Any, Any]:
        begin = time.perf_counter()
        pair = waiting.popleft().result()
        self.waited += time.perf_counter() - begin
        return pair
