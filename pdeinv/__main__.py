"""``python -m pdeinv`` is the command ``pdeinv``."""

from __future__ import annotations

from importlib import import_module

# Workers of mpi4py and of spawned pools import the main module under another name.
if __name__ == "__main__":
    # By name, because the core never depends on the command line that is built on it.
    import_module("pdeinv.cli.main").main()
