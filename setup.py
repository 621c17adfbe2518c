"""Find the packages by themselves; three folders at the top are installed inside ``pdeinv``."""

from setuptools import find_packages, setup

INSIDE = ("problems", "surrogates", "cli")


def inside(top: str) -> list[str]:
    """The packages of a folder at the top, under the names that they are installed by."""
    return [f"pdeinv.{name}" for name in (top, *(f"{top}.{sub}" for sub in find_packages(top)))]


setup(
    packages=[
        *find_packages(include=("pdeinv", "pdeinv.*")),
        *(p for t in INSIDE for p in inside(t)),
    ],
    package_dir={"pdeinv": "pdeinv"} | {f"pdeinv.{top}": top for top in INSIDE},
)
