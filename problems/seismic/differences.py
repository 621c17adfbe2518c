"""Waves by finite differences: the package deepwave, in its own conventions and memory.

deepwave solves ∇²u − u_tt/v² = f with leapfrog and a perfectly matched layer (Pasalic and McGarry
2010), f per node, and records at the beginning of a step. So a shot is f = −A w/h² at its node, the
trace at t = k dt is its sample k, and a run has one step more than it has to reach. Points
between nodes are spread by a windowed sinc (Hicks 2002). The time step is ours and satisfies
deepwave's condition for the fastest velocity that there may be, so that it never refines it.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pdeinv import extras
from pdeinv.errors import ConfigError
from pdeinv.executors.devices import import_torch
from pdeinv.typing import Array

from .grid import HALFWIDTH, NodeGrid

if TYPE_CHECKING:
    from .config import SeismicConfig

__all__ = ["Differences", "Survey", "Waves", "fields_of", "segments_of"]

STATES = 8
"""Fields of one state with its layer: u at two times and four of the layer, and room to work."""
SLACK = 1e-6
"""So much faster than the fastest velocity, so that rounding is no reason to refine the step."""


def deepwave() -> Any:
    """The package.

    Raises:
        MissingDependency: it is not installed.
    """
    return extras.load("deepwave", 'problem.model = "deepwave" needs')


def _called(name: str, *given: Any, **more: Any) -> Any:
    """A function of deepwave by its name, without what it tells users of its older versions."""
    package = deepwave()
    function = attrgetter(name)(package)
    with warnings.catch_warnings(), _pinned():
        warnings.simplefilter("ignore", package.MigrationWarning)
        return function(*given, **more)


@contextmanager
def _pinned() -> Iterator[None]:
    """As many threads as the process is given, one where nobody says: workers share the cores."""
    torch = import_torch()
    before, text = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(int(text) if text.isdecimal() and int(text) > 0 else 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _numbers(tensor: Any) -> Array:
    """A tensor's numbers in double precision."""
    return np.asarray(tensor.numpy(), dtype=np.float64)


def fields_of(steps: int, parts: int) -> int:
    """Fields at the peak of a gradient whose run is cut into parts.

    A part has a field for each of its steps. Of several, deepwave keeps those of the last, which an
    adjoint asks for first and may ask for again, beside those of the part that it runs again.

    Args:
        steps: of the run.
        parts: of equal length, to be run again but for the last.
    """
    if parts == 1:
        return steps + STATES
    return 2 * math.ceil(steps / parts) + STATES * (parts + 1)


def segments_of(steps: int, size: int, memory_mb: float) -> int:
    """Into how many parts a run is cut whose states are kept for one part at a time.

    Args:
        steps: of the run.
        size: bytes of one field with its layer, of all shots.
        memory_mb: bound on the states.

    Raises:
        ConfigError: no number of parts is enough.
    """
    needs = {k: size * fields_of(steps, k) for k in range(1, max(1, math.isqrt(steps)) + 1)}
    found = next((k for k, need in needs.items() if need <= 1e6 * memory_mb), None)
    if found is None:
        least = math.ceil(min(needs.values()) / 1e5) / 10
        raise ConfigError(
            f"memory_mb: {memory_mb:g} MB cannot hold the checkpoints of {steps} steps of finite "
            f"differences; give at least {least:g} MB, or fewer steps"
        )
    return found


@dataclass(frozen=True)
class Survey:
    """Where shots go in and receivers read, and when.

    Attributes:
        sources: places in spacings, shape (shots, 2), along y and x.
        receivers: the same, shape (receivers, 2); every shot has all of them.
        steps: of the run, up to the last sample.
        every: steps between two samples.
    """

    sources: Array
    receivers: Array
    steps: int
    every: int

    @property
    def shots(self) -> int:
        """How many."""
        return len(self.sources)


@dataclass(frozen=True)
class Differences:
    """The equation on a grid but for v.

    Attributes:
        grid: its nodes.
        config: of the problem.
        dt: time step, s.
        fastest: the velocity that the layer and the time step are made for, m s-1.
    """

    grid: NodeGrid
    config: SeismicConfig
    dt: float
    fastest: float

    @property
    def dtype(self) -> Any:
        """The precision of waves."""
        return getattr(import_torch(), self.config.deepwave.precision)

    def tensor(self, values: Array) -> Any:
        """Numbers in the precision of waves."""
        return import_torch().as_tensor(np.ascontiguousarray(values), dtype=self.dtype)

    @property
    def _free(self) -> bool:
        return self.config.boundary.top == "free"

    def points(self, places: Array) -> Any:
        """Places (shots, k, 2) in spacings as deepwave's weights on nodes."""
        torch = import_torch()
        return _called(
            "Hicks",
            torch.as_tensor(places, dtype=torch.float64),
            halfwidth=HALFWIDTH,
            free_surfaces=[self._free, False, False, False],
            model_shape=list(self.grid.shape),
            dtype=self.dtype,
        )

    @property
    def options(self) -> dict[str, Any]:
        """What every run is given."""
        layer = self.config.deepwave.layer
        top = {"boundary": ["free", "pml", "pml", "pml"]} if self._free else {}
        return {
            **top,
            "accuracy": self.config.deepwave.accuracy,
            "pml_width": [0 if self._free else layer, layer, layer, layer],
            "pml_freq": self.config.source.frequency,
            "max_vel": self.fastest * (1 + SLACK),
            "courant_number": self.config.deepwave.courant * (1 + 2 * SLACK),
            "check_output_finite": False,
        }

    def bytes_of_field(self, shots: int) -> int:
        """One field with its layer, of so many shots."""
        item = 8 if self.config.deepwave.precision == "float64" else 4
        widths, room = self.options["pml_width"], self.config.deepwave.accuracy
        ny, nx = (n + sum(widths[2 * k : 2 * k + 2]) + room for k, n in enumerate(self.grid.shape))
        return int(item * shots * ny * nx)


@dataclass
class Waves:
    """The waves of one medium and wavelet, from rest.

    Attributes:
        scheme: the equation.
        survey: what goes in and out.
        ends: the survey's sources and receivers as weights on nodes.
        velocity: v at the nodes, shape (n,).
        wavelet: what goes in at each step, shape (steps,).
        by_wavelet: whether derivatives by the wavelet will be asked for.
    """

    scheme: Differences
    survey: Survey
    ends: tuple[Any, Any]
    velocity: Array
    wavelet: Array
    by_wavelet: bool
    _kept: tuple[Any, Any, Any] | None = field(default=None, init=False)

    @cached_property
    def _v(self) -> Any:
        return self.scheme.tensor(self.velocity.reshape(self.scheme.grid.shape))

    def amplitudes(self, wavelet: Array) -> Any:
        """The wavelet as what goes into a node, shape (shots, 1, steps + 1)."""
        one = -np.append(wavelet, 0.0) / self.scheme.grid.spacing**2
        return self.scheme.tensor(np.tile(one, (self.survey.shots, 1, 1)))

    @property
    def _ends(self) -> dict[str, Any]:
        return {"source_locations": self.ends[0], "receiver_locations": self.ends[1]}

    def _run(self, v: Any, amplitudes: Any, **more: Any) -> Any:
        scheme = self.scheme
        how = {"source_amplitudes": amplitudes, **self._ends, **scheme.options, **more}
        return _called("scalar", v, scheme.grid.spacing, scheme.dt, **how)

    def _sampled(self, traces: Any) -> Any:
        """(shots, receivers, steps + 1) to the samples but that at t = 0."""
        return traces[..., self.survey.every :: self.survey.every]

    def traces(self, *, again: bool) -> Array:
        """The traces (shots, receivers, samples); states are kept where an adjoint will ask."""
        if again or self._kept is not None:
            return _numbers(self._recorded()[0].detach())
        with import_torch().no_grad():
            found = self._run(self._v, self.amplitudes(self.wavelet)).receiver_amplitudes
        return _numbers(self._sampled(found))

    def _recorded(self) -> tuple[Any, Any, Any]:
        """Traces that know where they come from, v and what goes in."""
        if self._kept is None:
            v = self._v.clone().requires_grad_()
            given = self.amplitudes(self.wavelet).requires_grad_(self.by_wavelet)
            self._kept = self._sampled(self._traced(v, given)), v, given
        return self._kept

    def _traced(self, v: Any, given: Any) -> Any:
        scheme, survey = self.scheme, self.survey
        bound = scheme.config.time.memory_mb
        parts = segments_of(survey.steps + 1, scheme.bytes_of_field(survey.shots), bound)
        if parts == 1:
            return self._run(v, given).receiver_amplitudes
        at = ([v], scheme.grid.spacing, scheme.dt, {"source_amplitudes": given}, parts)
        # without reentrant checkpoints deepwave keeps the history of every part after all
        how = {"checkpoint": True, "use_reentrant": True, **self._ends, **scheme.options}
        run = _called("checkpointing.run_segments", deepwave().scalar, *at, **how)
        return run.receiver_amplitudes

    def adjoint(self, table: Array) -> tuple[Array, Array]:
        """The gradient of a sum of traces with weights (shots, receivers, samples).

        Returns:
            By v at the nodes, shape (n,), and by the wavelet, shape (steps,).
        """
        traces, v, given = self._recorded()
        wanted = [v, given] if self.by_wavelet else [v]
        for leaf in wanted:
            leaf.grad = None
        with _pinned():
            traces.backward(self.scheme.tensor(table), retain_graph=True)
        on_v, *rest = (_numbers(leaf.grad) for leaf in wanted)
        on_wavelet = np.zeros(self.survey.steps)
        if rest:
            on_wavelet = -rest[0].sum(axis=(0, 1))[:-1] / self.scheme.grid.spacing**2
        return on_v.ravel(), on_wavelet

    def tangent(self, change: Array, wavelet: Array) -> Array:
        """The change of the traces with that of v, by Born's waves, and with the wavelet's."""
        scheme = self.scheme
        dv = scheme.tensor(change.reshape(scheme.grid.shape))
        places = {"source_locations": self.ends[0], "sc_receiver_locations": self.ends[1]}
        given = {"dv": dv, "source_amplitudes": self.amplitudes(self.wavelet), **places}
        with import_torch().no_grad():
            at = (self._v, scheme.grid.spacing, scheme.dt)
            found = _called("scalar_born", *at, **given, **scheme.options).sc_receiver_amplitudes
            if wavelet.any():
                found = found + self._run(self._v, self.amplitudes(wavelet)).receiver_amplitudes
        return _numbers(self._sampled(found))

    def states(self, wanted: NDArray[np.int64]) -> Array:
        """u at the nodes at some steps, increasing, shape (levels, n, shots)."""
        found: list[Array] = []
        levels = frozenset(int(k) for k in wanted)

        def look(state: Any) -> None:
            if state.step in levels:
                u = state.get_wavefield("wavefield_0", mode="read")
                found.append(_numbers(u).reshape(self.survey.shots, -1).T.copy())

        with import_torch().no_grad():
            every = math.gcd(*levels)
            given = self.amplitudes(self.wavelet)
            self._run(self._v, given, forward_callback=look, callback_frequency=every)
        return np.stack(found)
