"""What an entry of a variable is called: by where it lies, else by its number."""

from __future__ import annotations

import numpy as np
import xarray as xr

__all__ = ["place", "places"]


def place(array: xr.DataArray, number: int) -> str:
    """Entry ``number`` (row by row) in words: ``k``, ``k at x=0.25, y=0.5`` or ``k[3]``.

    A coordinate of words names its entry: ``rate at site=north``.
    """
    name = str(array.name)
    if not array.dims:
        return name
    index = dict(zip(array.dims, np.unravel_index(number, array.shape), strict=True))
    found = {
        str(c): values.values[tuple(index[d] for d in values.dims)]
        for c, values in array.coords.items()
        if values.dims
    }
    unnamed = [d for d in array.dims if not any(d in v.dims for v in array.coords.values())]
    text = ", ".join(f"{c}={_text(found[c])}" for c in sorted(found))
    numbers = f"[{', '.join(str(index[d]) for d in unnamed)}]" if unnamed else ""
    return f"{name}{numbers} at {text}" if text else f"{name}{numbers}"


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def places(array: xr.DataArray) -> list[str]:
    """The names of all entries, row by row."""
    return [place(array, i) for i in range(array.size)]
