"""Functions of place and time from numbers and formulas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.fem.expressions import Expression
from pdeinv.typing import Array

__all__ = ["SpaceTime"]


@dataclass(frozen=True)
class SpaceTime:
    """A number, or a formula in x, y, z (as many as the domain has) and t.

    Attributes:
        value: the number or the text.
        dim: dimension of the domain.
        what: names the function in errors.
        timed: whether t may occur.

    Raises:
        ConfigError: the text is not understood.
    """

    value: float | str
    dim: int = 2
    what: str = "formula"
    timed: bool = True

    def __post_init__(self) -> None:
        _ = self._expression

    @cached_property
    def _expression(self) -> Expression | None:
        if not isinstance(self.value, str):
            return None
        names = (*"xyz"[: self.dim], *(("t",) if self.timed else ()))
        return Expression(self.value, names)

    @property
    def steady(self) -> bool:
        """Whether the value does not depend on time."""
        return self._expression is None or not self._expression.uses("t")

    @property
    def zero(self) -> bool:
        """Whether it is the number zero."""
        return self.value == 0

    def __call__(self, points: Array, t: float | Array = 0.0) -> Array:
        """The values at points (n, d) and one time, or a time for each of them.

        Raises:
            ConfigError: a value is not finite.
        """
        if self._expression is None:
            return np.full(len(points), float(self.value))
        columns = [points[:, i] for i in range(self.dim)]
        when = np.full(len(points), t, dtype=np.float64)
        times = [when] if self.timed else []
        values = self._expression(*columns, *times)
        if not np.isfinite(values).all():
            k = int(np.flatnonzero(~np.isfinite(values))[0])
            place = ", ".join(f"{v:.4g}" for v in points[k])
            raise ConfigError(
                f"the {self.what} is not finite at ({place}), t = {when[k]:g}; check its expression"
            )
        return values

    def tensors(self, points: Any) -> Any:
        """The values at a torch tensor of points (n, d), or (n, d + 1) with t last, as (n,)."""
        if self._expression is None:
            return points[:, 0] * 0.0 + float(self.value)
        columns = [points[:, i] for i in range(self.dim)]
        return self._expression.tensors(*columns, *([points[:, self.dim]] if self.timed else []))
