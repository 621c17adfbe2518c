"""Frames of other instruments and programs, one module per format."""

from __future__ import annotations

from collections.abc import Mapping

from pdeinv.plugins.problem import Importer

from .csv_frame import CSV
from .kit4 import KIT4
from .ktc2023 import KTC2023
from .pyeit_order import PYEIT

__all__ = ["IMPORTERS"]

IMPORTERS: Mapping[str, Importer] = {"csv": CSV, "pyeit": PYEIT, "kit4": KIT4, "ktc2023": KTC2023}
"""By the name that ``pdeinv import eit`` knows them by."""
