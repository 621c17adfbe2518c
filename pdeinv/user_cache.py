"""Where a user's programs keep what they can make again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["user_cache"]


def user_cache() -> Path:
    """``$XDG_CACHE_HOME``, else ``~/.cache``; without a home "~" stays, a relative path."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
