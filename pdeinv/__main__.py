"""``python -m pdeinv`` is the command ``pdeinv``."""

from __future__ import annotations

import os
import sys
from importlib import import_module

# Workers of mpi4py and of spawned pools import the main module under another name.
if __name__ == "__main__":
    # Unlike the command, -m looks for modules in the working folder first, where data lie.
    if not sys.flags.safe_path and sys.path[0] == os.getcwd():
        del sys.path[0]
    # By name, because the core never depends on the command line that is built on it.
    import_module("pdeinv.cli.main").main()
