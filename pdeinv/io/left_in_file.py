"""Variables whose values stay in the file; loaded only where there is one, as it loads xarray."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from xarray.core import indexing

from pdeinv.errors import DataSchemaError
from pdeinv.io.missing import UNREAD

__all__ = ["left_in_file"]


class _Left(xr.backends.BackendArray):
    """Values that stay in the file."""

    def __init__(self, shape: tuple[int, ...], text: str) -> None:
        self.shape, self.dtype, self.text = shape, np.dtype(np.float64), text

    def __getitem__(self, _: Any) -> Any:
        raise DataSchemaError(self.text)


def left_in_file(variable: Any, text: str) -> xr.Variable:
    """A variable that is there, and cannot be read."""
    shape = tuple(int(n) for n in variable.shape)
    values = indexing.LazilyIndexedArray(_Left(shape, text))
    return xr.Variable(variable.dimensions, values, encoding={UNREAD: text})
