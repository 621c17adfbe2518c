"""What finite-element models share: one state kept for the last unknown, and typed failures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.model.forward import DERIVATIVES, Linearization, ModelKind
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["ReferenceModel", "check_finite", "check_positive"]


def check_finite(values: Array, what: str = "the unknown", name: str = " of m") -> None:
    """Refuse values that are not finite.

    Raises:
        SolverDiverged: names the first bad value.
    """
    if not np.isfinite(values).all():
        k = int(np.flatnonzero(~np.isfinite(values))[0])
        raise SolverDiverged(f"{what} must be finite; value {k}{name} is {values[k]:g}")


def check_positive(values: Array, what: str, name: str = "") -> None:
    """Refuse values that are not positive and finite.

    Raises:
        SolverDiverged: names the first bad value.
    """
    # NaN fails both comparisons, so that two reductions tell good from bad
    if values.min() > 0 and values.max() < np.inf:
        return
    k = int(np.flatnonzero(~((values > 0) & (values < np.inf)))[0])
    raise SolverDiverged(f"{what} must be positive and finite; value {k}{name} is {values[k]:g}")


class ReferenceModel(ABC):
    """G(m) = data of the state of m. What was solved for the last m serves its derivatives.

    An unknown that is not finite is refused before anything is solved, and neither data nor
    derivatives that are not finite leave the model.

    Args:
        m_space: the space of m.
        d_space: the space of the data.
    """

    kind: ModelKind = "reference"
    capabilities = DERIVATIVES

    def __init__(self, m_space: Space, d_space: Space) -> None:
        self.m_space, self.d_space = m_space, d_space
        self._m: Array | None = None
        self._last: Any = None

    @abstractmethod
    def solved(self, m: Array) -> Any:
        """The state of ``m``, by the solver, whose factor belongs to ``m`` afterwards.

        Raises:
            SolverDiverged: m is out of range, or a solve failed.
        """

    @abstractmethod
    def data(self, m: Array, *, again: bool) -> Array:
        """The data of ``m``, shape (n_d,); ``again`` where derivatives at m will be asked for."""

    @abstractmethod
    def tangent(self, m: Array, dm: Array) -> Array:
        """dG(m)[dm], shape (n_d,)."""

    @abstractmethod
    def adjoint(self, m: Array, w: Array) -> Array:
        """dG(m)^T w, shape (n_m,)."""

    def kept(self, m: Array) -> bool:
        """Whether what was solved last serves ``m`` as well."""
        return self._m is not None and np.array_equal(self._m, m)

    def state(self, m: Array) -> Any:
        """The state of ``m``, solved for where it is not that of the last call.

        Raises:
            SolverDiverged: m is not finite or out of range, or a solve failed.
        """
        m = self.m_space.check(m)
        if not self.kept(m):
            self._m = None
            check_finite(m)
            self._last = self.solved(m)
            self._m = m.copy()
        return self._last

    def __call__(self, m: Array) -> Array:
        """The data of ``m``, shape (n_d,).

        Raises:
            SolverDiverged: m is not finite or out of range, or a solve failed.
        """
        return _finite(self.data(self.m_space.check(m), again=False), "data")

    def linearize(self, m: Array) -> Linearization:
        """The data with tangent and adjoint actions, which stay valid after calls at other m.

        Raises:
            SolverDiverged: m is not finite or out of range, or a solve failed.
        """
        m = self.m_space.check(m).copy()
        return Linearization(
            _finite(self.data(m, again=True), "data"),
            lambda dm: _finite(self.tangent(m, self.m_space.check(dm)), "a tangent"),
            lambda w: _finite(self.adjoint(m, self.d_space.check(w)), "a gradient"),
        )


def _finite(values: Array, what: str) -> Array:
    if not np.isfinite(values).all():
        raise SolverDiverged(
            f"the model gives {what} with values that are not finite; the unknown is too extreme"
        )
    return values
