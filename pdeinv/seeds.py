"""Which numbers are root seeds; loads nothing, for the command line."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex

from pdeinv.errors import ConfigError

__all__ = ["LARGEST_SEED", "check_seed"]

LARGEST_SEED = 2**64 - 1
"""The largest integer that an attribute of a NetCDF file can hold."""


def check_seed(seed: object) -> int:
    """The seed.

    Raises:
        ConfigError: it is none.
    """
    if (
        not isinstance(seed, SupportsIndex)
        or isinstance(seed, bool)
        or not 0 <= index(seed) <= LARGEST_SEED
    ):
        raise ConfigError(f"seed: expected an integer from 0 to {LARGEST_SEED}, got {seed!r}")
    return index(seed)
