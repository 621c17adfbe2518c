"""What runs in a worker, whichever backend started it: one thread, then a function by its name."""

from __future__ import annotations

import importlib
import os
from typing import Any

__all__ = ["THREADS", "call"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What numerical libraries read when they are loaded."""


def call(target: str, *arguments: Any) -> None:
    """Call ``module:function`` in a process that uses one BLAS and OpenMP thread.

    The function is given by name because importing its module loads NumPy, which reads the number
    of threads once. One thread also makes the numbers those of every other backend.
    """
    os.environ.update(dict.fromkeys(THREADS, "1"))
    module, _, name = target.partition(":")
    getattr(importlib.import_module(module), name)(*arguments)
