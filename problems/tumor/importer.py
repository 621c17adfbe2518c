"""``pdeinv import tumor nifti``: segmentations of medical images as masks of whole tumor and core.

Voxels of an image, which are small and repeat each other, are gathered in data voxels: 1 where more
than half of one was segmented. Data are where there is tissue.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pdeinv.config import Config, Positive
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.fields import problem_attributes
from pdeinv.io.nifti import Volume, read_volume
from pdeinv.io.observations import Observations, to_dataset
from pdeinv.plugins import hooks
from pdeinv.plugins.problem import Importer, Problem
from pdeinv.plugins.recipe import make_problem
from pdeinv.typing import Array

from .config import TumorConfig
from .contours import effective_share, fitting_softness
from .labels import Labels, Regions, regions
from .maps import Maps, averaged, in_box, read_maps
from .masks import REGION
from .pet import PET

__all__ = ["IMPORTERS", "NiftiOptions"]

HALF = 0.5
"""Part of a data voxel from which on it counts as segmented, or as hidden."""
LARGEST = 0.999
"""The quantile of uptake in tissue that is taken for the largest."""
STRETCH = 0.5
"""Of ln of the softness of contours: distances told by c are off by such factors."""
OUTSIDE = 0.01
"""Part of a tumor outside of the tissue that is told."""


class NiftiOptions(Config):
    """Flags of the format."""

    white: Path = Field(description="map of white matter, on the voxels of the segmentation")
    grey: Path = Field(description="map of grey matter")
    csf: Path | None = Field(None, description="map of CSF")
    scale: Literal[1, 100, 255] | None = Field(
        None, description="what the maps are parts of; told by their largest value if not given"
    )
    labels: Labels | None = Field(
        None, description="what the labels mean; required where they fit several conventions"
    )
    pet: Path | None = Field(
        None, description="FET-PET of the day of the last segmentation, on the same voxels"
    )
    scan: tuple[Path, ...] = Field((), description="a further segmentation; repeatable")
    time: tuple[Positive, ...] = Field(
        (), description="of each segmentation, days, in their order; repeatable"
    )
    voxel: Positive = Field(4.0, description="edge of the data voxels, mm")
    contour_sd: float = Field(
        1.5,
        ge=0,
        allow_inf_nan=False,
        description="how far contours are off along their normal, standard deviation, mm; sets "
        "masks.share and masks.softness_mm; 0: voxels count as independent",
    )
    contour_length: Positive = Field(
        8.0, description="along how many mm of a contour they are off alike"
    )

    @model_validator(mode="after")
    def _of_each(self) -> NiftiOptions:
        count = 1 + len(self.scan)
        if len(self.time) not in ((0, 1) if count == 1 else (count,)):
            raise ValueError(
                f"expected --time once for each of {count} segmentations, got {len(self.time)}"
            )
        if self.white == self.grey:
            raise ValueError("--white and --grey are the same file; give a map of each")
        if len(set(self.time)) < len(self.time):
            raise ValueError("--time: two segmentations are of the same day; give each its own")
        return self

    def problem(self) -> dict[str, Any]:
        """What the flags say of the problem's configuration."""
        tissue = self.model_dump(include={"white", "grey", "csf", "scale"}, exclude_none=True)
        final = {"time": {"final": max(self.time)}} if self.time else {}
        return {
            "tissue": {"kind": "nifti", **tissue},
            "solver": "finite-differences",
            "voxel": self.voxel,
            "masks": {},
            **({} if self.pet is None else {"pet": {}}),
            **final,
        }


def _read(source: Path, options: NiftiOptions) -> xr.Dataset:
    config = TumorConfig.model_validate(options.problem())
    assert config.tissue.kind == "nifti"
    maps = read_maps(config, config.tissue)
    files = (source, *options.scan)
    scans = [_regions(path, options, maps, config) for path in files]
    times = options.time or (config.time.final,)
    seed = _seed_box(scans[int(np.argmin(times))], maps)
    table = options.problem() | {"unknown": seed, "masks": _drawn(options, config)}
    problem = make_problem("tumor", table)
    for text in maps.notes:
        warnings.warn(text, UserWarning, stacklevel=2)
    uptake = None if options.pet is None else _uptake(options.pet, options, maps, config)
    return _dataset(problem, _grid(maps, config), dict(zip(times, scans, strict=True)), uptake)


def _drawn(options: NiftiOptions, config: TumorConfig) -> dict[str, Any]:
    """Softness and effective share of masks whose contours were drawn.

    The softness is about that of a contour which is off by ``contour_sd``, and the share one over
    the number of data voxels in a patch of the contour that is off alike
    (:func:`pdeinv.problems.tumor.contours.effective_share`).
    """
    if options.contour_sd == 0:
        return {}
    sd, length = options.contour_sd, options.contour_length
    softness = float(f"{fitting_softness(sd):.3g}")
    share = effective_share(options.voxel, sd, length, 1 / softness, config.dim)
    unknown = {"median": softness, "std": STRETCH}
    return {"softness_mm": unknown, "share": float(f"{share:.3g}")}


IMPORTERS: Mapping[str, Importer] = {
    "nifti": Importer(
        "Segmentation of a tumor as a NIfTI image, with --white and --grey on the same voxels.",
        NiftiOptions,
        _read,
    )
}
"""By the name that ``pdeinv import tumor`` knows them by."""


def _regions(path: Path, options: NiftiOptions, maps: Maps, config: TumorConfig) -> Regions:
    """The regions of one segmentation, in the order of the box.

    Raises:
        ConfigError: its labels fit several conventions.
        DataSchemaError: it is no segmentation of this head.
    """
    volume = read_volume(path)
    _check_place(volume, path, maps, options)
    found = regions(volume.values, options.labels, path)
    parts = (in_box(part) for part in (found.whole, found.core, found.hidden))
    boxed = Regions(*parts)
    _check_inside(boxed, maps.white + maps.grey >= config.threshold, path)
    if not boxed.core.any():
        warnings.warn(f"{path.name} holds no core", UserWarning, stacklevel=2)
    return boxed


def _uptake(path: Path, options: NiftiOptions, maps: Maps, config: TumorConfig) -> _Uptake:
    """PET in parts of the largest uptake in tissue, but for outliers.

    Raises:
        DataSchemaError: it is of another head, or has no uptake in tissue.
    """
    volume = read_volume(path)
    _check_place(volume, path, maps, options)
    values, tissue = in_box(volume.values), maps.white + maps.grey >= config.threshold
    most = float(np.quantile(values[tissue], LARGEST))
    if not most > 0:
        raise DataSchemaError(f"{path} holds no uptake in white and grey matter")
    return _Uptake(values / most, tissue)


def _check_place(volume: Volume, path: Path, maps: Maps, options: NiftiOptions) -> None:
    maps.grid.check_same(volume.grid, str(path), str(options.white))
    if volume.note:
        warnings.warn(volume.note, UserWarning, stacklevel=3)


def _check_inside(found: Regions, tissue: NDArray[np.bool_], path: Path) -> None:
    """Refuse a tumor most of which lies outside of the tissue; tell where some of it does.

    Raises:
        DataSchemaError: most of it does.
    """
    outside = 1 - float((found.whole & tissue).sum() / found.whole.sum())
    text = f"{path.name}: {100 * outside:.0f} % of the tumor lies outside of white and grey matter"
    if outside > HALF:
        raise DataSchemaError(f"{text}; are segmentation and maps of the same head and space?")
    if outside > OUTSIDE:
        warnings.warn(f"{text}, where there are no data", UserWarning, stacklevel=3)


def _seed_box(first: Regions, maps: Maps) -> dict[str, list[float]]:
    """The places of the seed: the box around the tumor in the first scan."""
    low, high = [], []
    for k, axis in enumerate(maps.axes):
        others = tuple(i for i in range(first.whole.ndim) if i != first.whole.ndim - 1 - k)
        there = np.flatnonzero(first.whole.any(axis=others))
        half = 0.5 * float(axis[1] - axis[0])
        low.append(round(float(axis[there[0]]) - half, 4))
        high.append(round(float(axis[there[-1]]) + half, 4))
    return {"low": low, "high": high}


@dataclass(frozen=True)
class _Uptake:
    """PET on the voxels of the image.

    Attributes:
        values: uptake.
        tissue: where it counts.
    """

    values: Array
    tissue: NDArray[np.bool_]


@dataclass(frozen=True)
class _DataVoxels:
    """Voxels in which those of the image are gathered.

    Attributes:
        own: middles of the image's voxels along x, y, z of the box.
        axes: theirs.
        tissue: part of tissue in each, x fastest.
    """

    own: tuple[Array, ...]
    axes: tuple[Array, ...]
    tissue: Array

    def part(self, region: NDArray[np.bool_]) -> Array:
        """The part of each that belongs to a region of the image."""
        return self.mean(region.astype(np.float64))

    def mean(self, values: Array) -> Array:
        """The average of values of the image in each."""
        return averaged(values, self.own, self.axes).ravel()

    @property
    def points(self) -> Array:
        """Their middles, (n, d)."""
        grid = np.meshgrid(*self.axes[::-1], indexing="ij")[::-1]
        return np.stack([c.ravel() for c in grid], axis=1)


def _grid(maps: Maps, config: TumorConfig) -> _DataVoxels:
    """Cubes that fill the box but for a rim, in its middle.

    Raises:
        ConfigError: they are finer than the voxels of the image, or too coarse for the box.
    """
    finest, edge = min(maps.grid.sides[k] for k in maps.grid.axes), config.voxel
    counts = [int(length / edge + 1e-6) for length in config.lengths]
    if edge < (1 - 1e-6) * finest or min(counts) < 2:
        raise ConfigError(
            f"--voxel {edge:g}: expected an edge from that of the image's voxels, {finest:.4g} mm, "
            f"to half of the box, {min(config.lengths) / 2:.4g} mm"
        )
    axes = tuple(
        (length - n * edge) / 2 + edge * np.arange(0.5, n)
        for length, n in zip(config.lengths, counts, strict=True)
    )
    white, grey = maps.over(axes)
    return _DataVoxels(maps.axes, axes, white + grey)


def _dataset(
    problem: Problem, grid: _DataVoxels, scans: Mapping[float, Regions], uptake: _Uptake | None
) -> xr.Dataset:
    """The observation file: masks of all regions and scans, and PET, where tissue was seen."""
    config = problem.config
    assert isinstance(config, TumorConfig)
    tissue = (grid.tissue >= config.threshold) & hooks.mask(problem, grid.points)
    parts = [_of_scan(grid, found, tissue, time) for time, found in scans.items()]
    if uptake is not None:
        last = max(scans)
        parts.append(_of_pet(grid, uptake, tissue & (grid.part(scans[last].hidden) <= HALF), last))
    region, voxel, time, values = np.concatenate(parts, axis=1)
    order = np.lexsort((time, voxel, region))  # times of a voxel behind each other, as of stations
    places = grid.points[voxel[order].astype(np.int64)]
    where = dict(zip(problem.axes, places.T, strict=True))
    coords = {**where, "t": time[order], REGION: region[order]}
    law = hooks.likelihood(problem)(coords)
    assert law is not None
    observations = Observations(problem.observed, values[order], coords, law)
    return to_dataset(observations, problem_attributes(problem.name, config))


def _of_scan(grid: _DataVoxels, found: Regions, tissue: NDArray[np.bool_], time: float) -> Array:
    """Region, voxel, time and mask of the data of one scan, (4, n).

    Raises:
        DataSchemaError: it shows no tissue, or its tumor is lost in the data voxels.
    """
    hidden = grid.part(found.hidden)
    seen = np.flatnonzero(tissue & (hidden <= HALF))
    if len(seen) == 0:
        raise DataSchemaError(f"no data voxel of {time:g} d lies in tissue that was seen")
    rows = []
    for number, region in enumerate((found.whole, found.core), start=1):  # as masks.REGIONS are
        mask = grid.part(region)[seen] > HALF * (1 - hidden[seen])
        if region.any() and not mask.any():
            _lost(number, time)
        rows.append([np.full(len(seen), number), seen, np.full(len(seen), time), mask])
    return np.concatenate(np.array(rows, dtype=np.float64), axis=1)


def _lost(number: int, time: float) -> None:
    """Refuse, or tell of, a region that fills no data voxel by more than a half.

    Raises:
        DataSchemaError: it is the whole tumor.
    """
    what = f"the {'core of the ' * (number > 1)}tumor of {time:g} d fills no data voxel by a half"
    if number == 1:
        raise DataSchemaError(f"{what}; give a smaller --voxel")
    warnings.warn(f"{what}, and is seen nowhere; a smaller --voxel sees it", stacklevel=3)


def _of_pet(grid: _DataVoxels, uptake: _Uptake, seen: NDArray[np.bool_], time: float) -> Array:
    """Region, voxel, time and mean uptake of tissue of the data of PET, (4, n)."""
    total = grid.mean(np.where(uptake.tissue, uptake.values, 0.0))
    part = grid.part(uptake.tissue)
    there = np.flatnonzero(seen & (part > 0))
    n = len(there)
    return np.array([np.full(n, PET), there, np.full(n, time), total[there] / part[there]])
