"""Zeros and ones that are all the same, and so hardly tell anything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.io.observations import Observations
from pdeinv.typing import Array

__all__ = ["alike"]


def alike(observations: Observations) -> tuple[str, ...]:
    """A line for each kind of data that is 0 throughout, or 1; none of data with additive noise."""
    if observations.likelihood.kind is LikelihoodKind.GAUSSIAN:
        return ()
    return tuple(
        f"all {len(values)} data{of} are {values[0]:g}: they bound what they depend on from one "
        "side only, and the prior does the rest"
        for of, values in _kinds(observations)
        if np.isin(values[0], (0.0, 1.0)) and (values == values[0]).all()
    )


def _kinds(observations: Observations) -> Iterator[tuple[str, Array]]:
    """The data of each kind, with words for it."""
    meanings = observations.observed.meanings
    if not meanings:
        yield "", observations.values
    for coord, words in meanings.items():
        numbers = observations.coords[coord]
        for number, word in words.items():
            own = observations.values[numbers == number]
            if len(own):
                yield f" of {coord} {number:g} ({word})", own
