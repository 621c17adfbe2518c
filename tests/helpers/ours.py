"""What our own distribution registers and holds; other installed packages are theirs to test."""

from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

__all__ = ["LEARNED", "PACKAGES", "ROOT", "modules", "ours"]

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "pdeinv": "pdeinv",
    "problems": "pdeinv.problems",
    "surrogates": "pdeinv.surrogates",
    "cli": "pdeinv.cli",
}
LEARNED = (
    "average-image",
    "eit-transformer",
    "inverse-cnn",
    "inverse-deeponet",
    "inverse-fcnn",
    "inversion-net",
    "inverse-unet",
    "latent-unet",
    "lin-fno",
    "linear-image",
    "nio",
    "x-net",
)
"""Engines of one implementation, which reports what a trained inverse says."""


def ours(kind):
    """The names of our problems, surrogates or engines, sorted."""
    found = entry_points(group=f"pdeinv.{kind}")
    return sorted(e.name for e in found if e.dist is not None and e.dist.name == "pdeinv")


@cache
def modules() -> dict[str, Path]:
    """Files by the names of their modules."""
    found = {}
    for folder, package in PACKAGES.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *(p for p in parts if p != "__init__")])] = file
    return found
