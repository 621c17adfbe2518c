"""Call a function that a user wrote, and say in one line what is wrong with its answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from pdeinv.errors import ShapeError, SolverDiverged, reason
from pdeinv.typing import Array

__all__ = ["answer", "called", "numbers"]

logger = logging.getLogger(__name__)

_told: set[str] = set()
"""The failures that were logged: the first of a kind says enough."""


def called(function: Callable[..., Any], what: str, shape: tuple[int, ...], *given: Array) -> Array:
    """``function`` at copies of the arguments; ``what`` names it in errors.

    Raises:
        SolverDiverged: it raised an error; the first of each kind is logged.
        ShapeError: it returned something of another shape.
    """
    found = numbers(answer(function, what, *given), what)
    if found.shape != shape:
        raise ShapeError(
            f"own model: {what} must return an array of shape {shape}, got shape {found.shape}"
        )
    return found


def numbers(found: object, what: str) -> Array:
    """What a function returned as an array.

    Raises:
        ShapeError: no numbers, or rows of different lengths.
    """
    try:
        return np.array(found, dtype=np.float64)
    except (TypeError, ValueError):
        kind = type(found).__name__
        raise ShapeError(f"own model: {what} must return an array of numbers, got {kind}") from None


def answer(function: Callable[..., Any], what: str, *given: Array) -> object:
    """What ``function`` returns for copies of the arguments.

    Raises:
        SolverDiverged: it raised an error; the first of each kind is logged.
    """
    try:
        return function(*(np.array(a) for a in given))
    except SolverDiverged:
        raise
    except Exception as error:
        text = f"{what} of the own model raised {type(error).__name__}: {reason(error)}"
        if text not in _told:
            _told.add(text)
            logger.warning("%s; counted as a failed solve", text)
            logger.info("where it was raised", exc_info=error)
        raise SolverDiverged(text) from error
