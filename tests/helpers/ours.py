"""What our own distribution registers; what other installed packages do is theirs to test."""

from importlib.metadata import entry_points

__all__ = ["ours"]


def ours(kind):
    """The names of our problems, surrogates or engines, sorted."""
    found = entry_points(group=f"pdeinv.{kind}")
    return sorted(e.name for e in found if e.dist is not None and e.dist.name == "pdeinv")
