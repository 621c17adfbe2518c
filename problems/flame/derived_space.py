"""The space of what follows from a flame: numbers, and profiles over places, at one inlet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pdeinv.model.observed import Kind
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

__all__ = ["derived_space"]


def derived_space(
    kinds: Sequence[Kind],
    x: Array,
    inlet: Mapping[str, float],
    labels: Mapping[str, tuple[str, str]],
) -> Space:
    """One variable for each quantity, in its own units.

    Args:
        kinds: the quantities; those with a coordinate x are profiles.
        x: places of profiles, m.
        inlet: the state of the inlet by coordinate.
        labels: units and words of these.
    """
    named = {**labels, "x": ("m", "x coordinate")}
    attrs = {short: {"units": units, "long_name": words} for short, (units, words) in named.items()}
    state = {short: ((), np.asarray(value)) for short, value in inlet.items()}
    variables = []
    for kind in kinds:
        along = "x" in kind.coords
        coords = {**({"x": (("place",), x)} if along else {}), **state}
        dims, shape = (("place",), (len(x),)) if along else ((), ())
        variables.append(
            Variable(kind.name, dims, shape, kind.units, kind.long_name, coords, attrs)
        )
    return Space(tuple(variables))
