"""What the numbers in a segmentation mean: conventions of the BraTS challenges and their tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.typing import Array

__all__ = ["Convention", "Labels", "Regions", "regions"]

Labels = Literal["brats", "brats2023", "brats2024-post", "brats-toolkit"]

NEAR = 0.01
"""How far from whole numbers labels may lie: files with a slope hold 2.0078 for 2, say."""


@dataclass(frozen=True)
class Convention:
    """The labels of one convention.

    Attributes:
        core: necrosis and enhancing tumor.
        oedema: what belongs to the whole tumor besides.
        hidden: what cannot be seen, such as the cavity of a resection.
        words: the same for users.
    """

    core: frozenset[int]
    oedema: frozenset[int]
    hidden: frozenset[int]
    words: str

    @property
    def every(self) -> frozenset[int]:
        """All labels but that of no tumor, 0."""
        return self.core | self.oedema | self.hidden


def _of(core: tuple[int, ...], oedema: int, hidden: tuple[int, ...], words: str) -> Convention:
    return Convention(frozenset(core), frozenset({oedema}), frozenset(hidden), words)


_KNOWN: Mapping[Labels, Convention] = {
    "brats": _of((1, 4), 2, (), "1 necrosis, 2 oedema, 4 enhancing"),
    "brats2023": _of((1, 3), 2, (), "1 necrosis, 2 oedema, 3 enhancing"),
    "brats2024-post": _of((1, 3), 2, (4,), "1 necrosis, 2 oedema, 3 enhancing, 4 cavity"),
    "brats-toolkit": _of((1, 4), 3, (), "1 enhancing, 3 oedema, 4 necrosis"),
}
assert set(_KNOWN) == set(get_args(Labels))


@dataclass(frozen=True)
class Regions:
    """A segmentation by regions, arrays of the shape of its image.

    Attributes:
        whole: the whole tumor.
        core: its core.
        hidden: where nothing was seen.
    """

    whole: NDArray[np.bool_]
    core: NDArray[np.bool_]
    hidden: NDArray[np.bool_]


def regions(values: Array, labels: Labels | None, path: Path) -> Regions:
    """The regions of a segmentation.

    Args:
        values: of its voxels.
        labels: their convention; where not given, the only one that they fit.
        path: of the file, for messages.

    Raises:
        ConfigError: no convention is given, and the labels fit several.
        DataSchemaError: values that are no labels, labels that the convention does not know, or no
            tumor.
    """
    found, values = _labels_in(values, path), np.round(values)
    convention = _KNOWN[_named(found, labels, path)]
    core = np.isin(values, list(convention.core))
    whole = core | np.isin(values, list(convention.oedema))
    if not whole.any():
        raise DataSchemaError(f"{path} holds no tumor: no voxel is core or oedema")
    return Regions(whole, core, np.isin(values, list(convention.hidden)))


def _labels_in(values: Array, path: Path) -> set[int]:
    found = np.unique(values)
    if len(found) > 256 or np.abs(found - np.round(found)).max() > NEAR:
        raise DataSchemaError(
            f"{path} holds values that are no labels, from {found[0]:g} to {found[-1]:g}; expected "
            "a segmentation of few whole numbers"
        )
    return {round(v) for v in found.tolist()} - {0}


def _named(found: set[int], labels: Labels | None, path: Path) -> Labels:
    fits = [name for name, convention in _KNOWN.items() if found <= convention.every]
    shown = ", ".join(map(str, sorted(found))) or "0 alone"
    if labels is not None:
        if labels not in fits:
            raise DataSchemaError(
                f"{path} holds the labels {shown}; {labels} has {_KNOWN[labels].words}, so choose "
                f"other --labels{_among(fits)}"
            )
        return labels
    if not fits:
        raise DataSchemaError(
            f"{path} holds the labels {shown}, which no known convention has "
            f"({'; '.join(f'{name}: {c.words}' for name, c in _KNOWN.items())})"
        )
    if len(fits) > 1:
        told = "; ".join(f"{name}: {_KNOWN[name].words}" for name in fits)
        raise ConfigError(f"{path} holds the labels {shown}, which fit {told}; say which --labels")
    return fits[0]


def _among(fits: list[Labels]) -> str:
    return f", such as {fits[0]}" if fits else "; no convention that is known has all of them"
