"""``python -m pdeinv`` is the command ``pdeinv``."""

from __future__ import annotations

from importlib import import_module

# By name, because the core never depends on the command line that is built on it.
import_module("pdeinv.cli.main").main()
