"""Steps of a linear multistep method forwards, and backwards for the discrete adjoint.

Vectors are (n,), or tiles (n, width): nothing here knows how many runs go side by side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pdeinv.fem.schemes import Scheme
from pdeinv.typing import Array

__all__ = ["Forcing", "Marching", "Step"]

Forcing = Callable[[int], Array | None]
"""Number of the time level to a vector of the degrees of freedom; None where it is zero."""


class Step(Protocol):
    """One kind of time step."""

    @property
    def scheme(self) -> Scheme:
        """Its coefficients."""

    @property
    def past(self) -> Sequence[Any]:
        """C_j = -(α_j M/Δt + β_j K); ``C @ u`` is their product with a vector."""

    def solve(self, r: Array) -> Array:
        """A^(-1) r."""

    def lifted(self, values: Array) -> Array:
        """What prescribed values add to A u."""


class Marching(ABC):
    """All steps of a run.

    Attributes:
        scheme: the time stepping.
        steps: the number of steps.
        fixed: degrees of freedom where u is prescribed.
        main: the step.
        start: the first one.
    """

    scheme: Scheme
    steps: int
    fixed: NDArray[np.int64]
    main: Step
    start: Step

    @abstractmethod
    def zeros(self) -> Array:
        """A vector of zeros."""

    def step(self, n: int) -> Step:
        """The kind of step that leads to time level ``n``."""
        return self.start if n == 1 else self.main

    def march(
        self,
        past: Sequence[Array],
        load: Forcing,
        held: Forcing | None = None,
        *,
        extra: Forcing | None = None,
        first: int = 1,
        last: int | None = None,
    ) -> Iterator[tuple[int, Array]]:
        """(n, u^n) for n = first ... last.

        Args:
            past: u^(first-1) and, where the scheme asks for it, u^(first-2).
            load: F^n.
            held: u^n on the fixed degrees of freedom; zero where None.
            extra: added to the right-hand side of step n as it is.
            first: the first level to compute.
            last: the last one; :attr:`steps` where None.

        Raises:
            SolverDiverged: a solve failed.
        """
        past, before = list(past), load(first - 1) if self._two_loads else None
        for n in range(first, (self.steps if last is None else last) + 1):
            step = self.step(n)
            r = step.past[0] @ past[0]
            for c, u in zip(step.past[1:], past[1:], strict=False):
                r += c @ u
            if extra is not None:
                r += extra(n)
            before = self._add_load(r, step.scheme, load(n), before)
            self._hold(r, step, None if held is None else held(n))
            past = [step.solve(r), *past[: len(self.scheme.alpha) - 2]]
            yield n, past[0]

    @property
    def _two_loads(self) -> bool:
        return self.scheme.beta[1] != 0

    def _add_load(
        self, r: Array, scheme: Scheme, now: Array | None, before: Array | None
    ) -> Array | None:
        if now is not None:
            r += now if scheme.beta[0] == 1 else scheme.beta[0] * now
        if before is not None and scheme.beta[1] != 0:
            r += scheme.beta[1] * before
        return now

    def _hold(self, r: Array, step: Step, values: Array | None) -> None:
        if values is None:
            r[self.fixed] = 0.0
            return
        r -= step.lifted(values)
        r[self.fixed] = values

    def average(self, n: int, now: Array, before: Array) -> Array:
        """v^n = Σ_j β_j u^(n-j), what K acts on in step ``n``."""
        beta = self.step(n).scheme.beta
        return now if beta[1] == 0 else beta[0] * now + beta[1] * before

    def adjoint(
        self, source: Forcing, last: int, *, loads: bool = True
    ) -> Iterator[tuple[int, Array, Array | None]]:
        """(n, λ^n, μ^n) for n = last ... 0, where J = Σ_n source(n)·u^n up to ``last``.

        μ^n = dJ/dF^n, None where not ``loads``. For n ≥ 1, -λ^n·(dK v^n) is the part of dJ that a
        change dK of K causes in step n; λ^0 = dJ/du^0. λ vanishes on the fixed ones.

        Raises:
            SolverDiverged: a solve failed.
        """
        ahead: list[Array] = []
        for n in range(last, -1, -1):
            r = self._pulled(n, ahead)
            here = source(n)
            if here is not None:
                r += here
            r[self.fixed] = 0.0
            now = r if n == 0 else self.step(n).solve(r)
            yield n, now, self._load_adjoint(n, now, ahead) if loads else None
            ahead = [now, *ahead[: len(self.scheme.alpha) - 2]]

    def _pulled(self, n: int, ahead: list[Array]) -> Array:
        if not ahead:
            return self.zeros()
        r = self.step(n + 1).past[0] @ ahead[0]
        for j, later in enumerate(ahead[1:], 1):
            past = self.step(n + j + 1).past
            if j < len(past):
                r += past[j] @ later
        return np.asarray(r)

    def _load_adjoint(self, n: int, now: Array, ahead: list[Array]) -> Array:
        """Σ_j β_j λ^(n+j) of the steps that use F^n."""
        mu = np.zeros_like(now) if n == 0 else self.step(n).scheme.beta[0] * now
        if ahead and self.step(n + 1).scheme.beta[1] != 0:
            mu = mu + self.step(n + 1).scheme.beta[1] * ahead[0]
        return mu
