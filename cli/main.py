"""The entry point of the command ``pdeinv``: it listens to signals before it loads anything."""

from __future__ import annotations

import os
import sys

from . import outlets, signals

__all__ = ["main"]


def main() -> None:
    """Run the verb that the command line names and exit with its code."""
    words = sys.argv[1:]
    signals.end_at_once(words)
    out, _ = outlets.opened()
    # a Python that is started here, a worker say, takes no module from the working folder
    os.environ["PYTHONSAFEPATH"] = "1"
    from .verbs import app

    signals.leave_in_order(words)
    try:
        app()
    except SystemExit as ended:
        if ended.code in (None, 0):
            sys.exit(outlets.code_of(out))
        raise
    except BaseException:
        # what was raised may have become another error on its way, in a half-loaded module say
        stopped = signals.asked()
        if stopped is None:
            raise
        stopped.tell(words)
        sys.exit(stopped.exit_code)
    finally:
        signals.ignore()  # what there was to do is done: the exit code is that of the verb
