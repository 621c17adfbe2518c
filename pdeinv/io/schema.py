"""What variables of a file have to be: numbers, over which dimensions, finite or not.

A reader states it as a table by name and has it checked before anything is computed; values of a
variable are looked at only where they must be finite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError, PdeinvError, reason
from pdeinv.io.missing import UNREAD

__all__ = ["ANY", "Column", "check", "check_numbers", "fitting"]

ANY = "*"
"""A dimension of whatever name."""


@dataclass(frozen=True)
class Column:
    """What one variable has to be.

    Attributes:
        dims: its dimensions in their order, ``ANY`` for one of any name.
        more: whether others may follow.
        needed: whether it must be there.
        finite: whether all of its values must be.
        ordered: whether the order of the dimensions counts.
    """

    dims: tuple[str, ...]
    more: bool = False
    needed: bool = False
    finite: bool = False
    ordered: bool = True

    def fits(self, dims: tuple[str, ...]) -> bool:
        """Whether these are its dimensions."""
        if not self.ordered:
            return sorted(dims) == sorted(self.dims)
        head = dims[: len(self.dims)]
        same = len(head) == len(self.dims) and all(
            wanted in (ANY, got) for wanted, got in zip(self.dims, head, strict=True)
        )
        return same and (self.more or len(dims) == len(self.dims))

    def __str__(self) -> str:
        return f"({', '.join([*self.dims, *(['...'] if self.more else [])])})"


def check(dataset: xr.Dataset, schema: Mapping[str, Column], where: str = "") -> None:
    """Refuse a dataset whose variables are not what a schema says.

    Args:
        dataset: as read.
        schema: by name; variables that are not named are left alone.
        where: the file, in messages.

    Raises:
        DataSchemaError: the first that is missing or something else.
    """
    start = f"{where}: " if where else ""
    for name, column in schema.items():
        if name in dataset.variables:
            _check_one(dataset.variables[name], name, column, start)
        elif column.needed:
            raise DataSchemaError(
                f"{start}variable '{name}' is missing; expected it over {column}, found "
                f"{sorted(map(str, dataset.variables))}"
            )


def _check_one(variable: xr.Variable, name: str, column: Column, start: str) -> None:
    if UNREAD in variable.encoding:
        raise DataSchemaError(variable.encoding[UNREAD])
    check_numbers(variable, f"{start}'{name}'")
    dims = tuple(map(str, variable.dims))
    if not column.fits(dims):
        raise DataSchemaError(
            f"{start}'{name}' must have the dimensions {column}, got ({', '.join(dims)})"
        )
    if column.finite and not np.isfinite(np.asarray(variable)).all():
        raise DataSchemaError(f"{start}'{name}' has values that are missing or not finite")


@contextmanager
def fitting(path: Path, done: str) -> Iterator[None]:
    """Where a job shows what a file holds: variables that do not fit together are the file's fault.

    Args:
        path: the file.
        done: what would be done with it, as in "drawn".

    Raises:
        DataSchemaError: names the file.
    """
    try:
        yield
    except DataSchemaError as error:
        text = str(error)
        raise (error if str(path) in text else DataSchemaError(f"{path}: {text}")) from error
    except PdeinvError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataSchemaError(
            f"{path} cannot be {done} ({type(error).__name__}: {reason(error)}); its variables do "
            "not fit together, 'pdeinv info' shows them"
        ) from error


def check_numbers(variable: xr.Variable | xr.DataArray, what: str) -> None:
    """Refuse text, dates and other things that are no real numbers.

    Raises:
        DataSchemaError: with what they are.
    """
    if variable.dtype.kind not in "fiub":
        raise DataSchemaError(
            f"{what} must hold numbers, got the type {variable.dtype}; convert it, with NaN for "
            "what is missing"
        )
