"""Drive and measurement patterns: one row per injection or measurement, one column per electrode.

A pair pattern k has +1 on electrode ``first`` and −1 on ``second``; drives put current +I into the
first and take it out of the second, measurements give U_first − U_second.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pdeinv.config import Config
from pdeinv.errors import ConfigError
from pdeinv.typing import Array

__all__ = [
    "Adjacent",
    "AgainstOne",
    "MatrixPattern",
    "Opposite",
    "Pairs",
    "Pattern",
    "Single",
    "Skip",
    "Trigonometric",
    "pattern_matrix",
]

Whole = Annotated[int, Field(ge=0)]


class _Rotating(Config):
    """Pairs (k, k + step) that go round the electrodes."""

    rotation: int = Field(0, description="electrode that the first pair begins with")
    order: Literal["forward", "backward"] = Field(
        "forward", description="whether pairs go round with the electrode numbers or against them"
    )
    sign: Literal[1, -1] = Field(1, description="-1 swaps first and second electrode of each pair")


class Adjacent(_Rotating):
    """Pairs (k, k + 1)."""

    kind: Literal["adjacent"] = "adjacent"


class Opposite(_Rotating):
    """Pairs (k, k + L/2) of an even number L of electrodes."""

    kind: Literal["opposite"] = "opposite"


class Skip(_Rotating):
    """Pairs (k, k + 1 + skip)."""

    kind: Literal["skip"] = "skip"
    skip: int = Field(1, ge=0, description="electrodes left out between the two")


class AgainstOne(Config):
    """Pairs (k, reference) for every other electrode k in ascending order."""

    kind: Literal["against-one"] = "against-one"
    references: tuple[Whole, ...] = Field(
        (0,), min_length=1, description="the common electrode; several give one block each"
    )
    sign: Literal[1, -1] = Field(1, description="-1 swaps the electrodes of each pair")


class Trigonometric(Config):
    """cos(n θ_l), n = 1 … L/2, then sin(n θ_l), n = 1 … L/2 − 1, with θ_l = 2π l/L."""

    kind: Literal["trigonometric"] = "trigonometric"
    rotation: int = Field(0, description="electrode whose θ is zero")
    sign: Literal[1, -1] = Field(1, description="-1 changes every sign")


class Single(Config):
    """Each electrode by itself; as a measurement, its potential with ΣU = 0."""

    kind: Literal["single"] = "single"


class Pairs(Config):
    """Given pairs (first, second) of electrodes."""

    kind: Literal["pairs"] = "pairs"
    pairs: tuple[tuple[Whole, Whole], ...] = Field(
        min_length=1, description="electrodes, counted from 0"
    )

    @model_validator(mode="after")
    def _two(self) -> Pairs:
        same = [k for k, (a, b) in enumerate(self.pairs) if a == b]
        if same:
            raise ValueError(f"pair {same[0]} has electrode {self.pairs[same[0]][0]} twice")
        return self


class MatrixPattern(Config):
    """Given numbers, one row per pattern."""

    kind: Literal["matrix"] = "matrix"
    matrix: tuple[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], ...] = Field(
        min_length=1, description="rows of one number per electrode"
    )

    @model_validator(mode="after")
    def _rectangular(self) -> MatrixPattern:
        if len({len(row) for row in self.matrix}) != 1:
            raise ValueError("matrix: all rows must have one number per electrode")
        return self


Pattern = Annotated[
    Adjacent | Opposite | Skip | AgainstOne | Pairs | Trigonometric | Single | MatrixPattern,
    Field(discriminator="kind"),
]


def _pairs(first: Any, second: Any, n: int, sign: int) -> Array:
    out = np.zeros((len(first), n))
    rows = np.arange(len(first))
    out[rows, first] += sign
    out[rows, second] -= sign
    return out


def _rotating(pattern: Adjacent | Opposite | Skip, n: int) -> Array:
    match pattern:
        case Adjacent():
            step = 1
        case Opposite():
            if n % 2:
                raise ConfigError(f"pattern 'opposite' needs an even number of electrodes, got {n}")
            step = n // 2
        case Skip():
            step = pattern.skip + 1
            if step >= n:
                raise ConfigError(
                    f"pattern 'skip': skip = {pattern.skip} reaches round all {n} electrodes; "
                    f"use at most {n - 2}"
                )
    turn = 1 if pattern.order == "forward" else -1
    first = (pattern.rotation + turn * np.arange(n)) % n
    return _pairs(first, (first + turn * step) % n, n, pattern.sign)


def _against(pattern: AgainstOne, n: int) -> Array:
    if max(pattern.references) >= n:
        raise ConfigError(
            f"pattern 'against-one': reference {max(pattern.references)} is no electrode; "
            f"they are 0 to {n - 1}"
        )
    blocks = [
        _pairs(others, np.full(n - 1, r), n, pattern.sign)
        for r in pattern.references
        for others in [np.delete(np.arange(n), r)]
    ]
    return np.concatenate(blocks)


def _given(pattern: Pairs, n: int) -> Array:
    table = np.array(pattern.pairs, dtype=np.int64)
    if table.max() >= n:
        raise ConfigError(f"pattern 'pairs': {table.max()} is no electrode; they are 0 to {n - 1}")
    return _pairs(table[:, 0], table[:, 1], n, 1)


def _trigonometric(pattern: Trigonometric, n: int) -> Array:
    theta = 2 * np.pi * (np.arange(n) - pattern.rotation) / n
    cosines = [np.cos(k * theta) for k in range(1, n // 2 + 1)]
    sines = [np.sin(k * theta) for k in range(1, (n - 1) // 2 + 1)]
    return pattern.sign * np.stack([*cosines, *sines])


def pattern_matrix(pattern: Pattern, n: int) -> Array:
    """The pattern for n electrodes, shape (patterns, n).

    Raises:
        ConfigError: it does not fit that number of electrodes.
    """
    match pattern:
        case AgainstOne():
            return _against(pattern, n)
        case Pairs():
            return _given(pattern, n)
        case Trigonometric():
            return _trigonometric(pattern, n)
        case Single():
            return np.eye(n)
        case MatrixPattern():
            matrix = np.array(pattern.matrix, dtype=np.float64)
            if matrix.shape[1] != n:
                raise ConfigError(
                    f"pattern 'matrix': rows have {matrix.shape[1]} numbers, there are {n} "
                    "electrodes; give one number per electrode"
                )
            return matrix
        case _:
            return _rotating(pattern, n)
