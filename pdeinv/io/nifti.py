"""NIfTI images (.nii, .nii.gz): one volume of numbers, read with care and written with its place.

The header is read by nibabel, the numbers here: what a header declares is checked against the file
and the memory before anything of that size is made, and extensions are skipped unread.

Format: NIfTI-1 and NIfTI-2 data formats, nifti.nimh.nih.gov.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.foreign import INFLATION, memory
from pdeinv.io.atomic import atomic
from pdeinv.io.marks import GZIP, maker
from pdeinv.io.reading import parsed
from pdeinv.io.voxel_grid import Form, VoxelGrid, nibabel
from pdeinv.memory import size_of
from pdeinv.typing import Array

__all__ = [
    "SUFFIXES",
    "Volume",
    "is_nifti_name",
    "output_kind",
    "read_components",
    "read_grid",
    "read_volume",
    "write_volume",
]

SUFFIXES = (".nii.gz", ".nii")
_MAGIC = {348: (b"n+1\0", 344), 540: (b"n+2\0\r\n\x1a\n", 4)}
"""By the size of a header, what marks an image in one file, and where that stands."""
_MILLIMETRES = {"meter": 1e3, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}


@dataclass(frozen=True)
class Volume:
    """One image.

    Attributes:
        grid: its voxels.
        values: in canonical order, shape ``grid.counts``, scaled as the header says.
        note: what is odd about its header, in words; empty as a rule.
    """

    grid: VoxelGrid
    values: Array
    note: str = ""


def is_nifti_name(path: Path) -> bool:
    """Whether a file is called as images are."""
    return path.name.endswith(SUFFIXES)


def output_kind(path: Path) -> Literal["file", "folder"]:
    """What is written under a name: one image, or a folder of images."""
    return "file" if is_nifti_name(path) else "folder"


def read_grid(path: Path) -> VoxelGrid:
    """The voxels of an image; only its header is read.

    Raises:
        DataSchemaError: missing, no NIfTI image, or none of one volume.
        MissingDependency: nibabel is not installed.
    """
    with _opened(path) as (_, header):
        return _grid(header, path)[0]


def read_volume(path: Path) -> Volume:
    """An image of one volume.

    Raises:
        DataSchemaError: missing, damaged, no NIfTI image, none of one volume, of numbers that are
            not real, or larger than its file or the memory.
        MissingDependency: nibabel is not installed.
    """
    with _opened(path) as (stream, header):
        grid, note = _grid(header, path)
        stored = _numbers(stream, header, path)
        slope, inter = header.get_slope_inter()
    values = grid.in_order(stored.reshape(grid.shape, order="F")).astype(np.float64)
    if slope is not None and (slope, inter) != (1.0, 0.0):
        values = slope * values + inter
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise DataSchemaError(
            f"{path}: {bad} of {values.size} voxels are NaN or infinite; set them to what they are "
            "(zero outside of the head)"
        )
    return Volume(grid, values, note)


def read_components(path: Path, count: int) -> Volume:
    """An image of several numbers in each voxel, such as a tensor: 4-D, or 5-D with one time.

    Args:
        path: of the image.
        count: how many numbers there are.

    Returns:
        Values of shape (*grid.counts, count).

    Raises:
        DataSchemaError: as of :func:`read_volume`, or of another number of components.
    """
    with _opened(path) as (stream, header):
        grid, note = _grid(header, path, count)
        stored = _numbers(stream, header, path)
        slope, inter = header.get_slope_inter()
    values = grid.in_order(stored.reshape((*grid.shape, count), order="F")).astype(np.float64)
    if slope is not None and (slope, inter) != (1.0, 0.0):
        values = slope * values + inter
    if not np.isfinite(values).all():
        raise DataSchemaError(
            f"{path} holds NaN or infinite numbers; set them to what they are (zero outside of the "
            "head)"
        )
    return Volume(grid, values, note)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BufferedIOBase, Any]]:
    """The bytes of an image, without compression, and its header.

    The block raises DataSchemaError for what it finds wrong; what libraries say becomes one.
    """
    tools = nibabel()

    def refusal(kind: str) -> DataSchemaError:
        cut = "is cut short or damaged" if kind in ("EOFError", "error", "BadGzipFile") else kind
        return DataSchemaError(f"{path} cannot be read as a NIfTI image ({cut}); write it again")

    if not path.exists():
        raise DataSchemaError(f"no such file: {path}")
    with parsed(path, refusal):
        with path.open("rb") as file:
            packed = file.read(2) == GZIP
        with gzip.open(path) if packed else path.open("rb") as stream:
            yield stream, _header(stream, tools, path)


def _header(stream: BufferedIOBase, tools: Any, path: Path) -> Any:
    block = stream.read(348)
    size = next((n for n in _MAGIC for order in ("<i4", ">i4")
                 if len(block) == 348 and np.frombuffer(block[:4], order)[0] == n), 0)  # fmt: skip
    if size:
        block += stream.read(size - 348)
        magic, at = _MAGIC[size]
        if len(block) == size and block[at : at + len(magic)] == magic:
            kind = tools.Nifti1Header if size == 348 else tools.Nifti2Header
            return kind(block, check=False)
        if size == 348 and block[344:348] == b"ni1\0":
            raise DataSchemaError(f"{path} is half of a pair .hdr and .img; save it as one .nii.gz")
    raise DataSchemaError(f"{path} is no NIfTI image (.nii or .nii.gz); convert it to one")


def _grid(header: Any, path: Path, components: int = 1) -> tuple[VoxelGrid, str]:
    """The voxels, and what is odd about them."""
    shape = _shape(header, path, components)
    unit = header.get_xyzt_units()[0]
    scale = _MILLIMETRES[unit]
    qform, sform = (
        Form(matrix, int(code)) if code else None
        for matrix, code in (header.get_qform(coded=True), header.get_sform(coded=True))
    )
    base = header.get_base_affine() if qform is None and sform is None else None
    chosen = sform or qform
    affine = np.array(chosen.matrix if chosen else base, dtype=np.float64)
    affine[:3] *= scale
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise DataSchemaError(
            f"{path}: its affine is not finite, or has voxels without volume; write it again"
        )
    grid = VoxelGrid(shape, affine, qform, sform, unit)
    pixdim = scale * np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    grid.check_rigid(np.where(np.array(shape) > 1, pixdim, np.linalg.norm(affine[:3, :3], axis=0)),
                     str(path))  # fmt: skip
    return grid, _odd(grid, path)


def _shape(header: Any, path: Path, components: int = 1) -> tuple[int, int, int]:
    found = [int(n) for n in header.get_data_shape()]
    if not found or min(found) < 1:
        raise DataSchemaError(f"{path}: its header declares no voxels (dim = {found})")
    if components > 1:
        found = _without_components(found, path, components)
    while len(found) > 3 and found[-1] == 1:
        found.pop()
    if len(found) > 3:
        raise DataSchemaError(
            f"{path} holds {len(found)} dimensions, {' x '.join(map(str, found))}; expected one "
            "volume, so save the one that is meant by itself"
        )
    a, b, c = found + [1] * (3 - len(found))
    return a, b, c


def _without_components(found: list[int], path: Path, components: int) -> list[int]:
    if len(found) < 4 or found[-1] != components or any(n != 1 for n in found[3:-1]):
        raise DataSchemaError(
            f"{path} has {' x '.join(map(str, found))} numbers; expected {components} in each "
            f"voxel, as a fourth or fifth dimension of {components}"
        )
    return found[:-1]


def _odd(grid: VoxelGrid, path: Path) -> str:
    """What a user should know of the placement."""
    q, s = grid.qform, grid.sform
    if q is None and s is None:
        return (
            f"{path.name} does not say how it lies in the world (qform and sform codes are 0); "
            "left and right may be swapped"
        )
    if q is None or s is None:
        return ""
    scale = _MILLIMETRES[grid.unit]
    other = VoxelGrid(grid.shape, np.diag([scale, scale, scale, 1.0]) @ q.matrix)
    apart = grid.apart(other)
    if apart <= 0.5:
        return ""
    return f"{path.name}: qform and sform differ; the sform is taken"


def _numbers(stream: BufferedIOBase, header: Any, path: Path) -> NDArray[Any]:
    """The numbers as they are stored, checked before they are read."""
    kind = header.get_data_dtype()
    if kind.kind not in "iuf":
        name = "RGB colours" if kind.kind == "V" else f"{kind} numbers"
        raise DataSchemaError(f"{path} holds {name}; expected one real number in each voxel")
    count = math.prod(int(n) for n in header.get_data_shape())
    offset = float(header["vox_offset"])
    declared = count * kind.itemsize
    stored = path.stat().st_size
    room = stored * (INFLATION if isinstance(stream, gzip.GzipFile) else 1)
    if not stream.tell() <= offset <= room - declared:
        raise DataSchemaError(
            f"{path} declares {size_of(declared)}, which a file of {size_of(stored)} cannot hold; "
            "it may be cut short, so write it again"
        )
    # as they are, in order, and as floating-point numbers
    wanted = declared + 16 * count
    if wanted > memory():
        raise DataSchemaError(
            f"{path} needs {size_of(wanted)}; there is memory for {size_of(memory())}"
        )
    stream.seek(int(offset))
    data = stream.read(declared)
    if len(data) < declared:
        raise EOFError
    stream.read(1)  # so that a checksum behind the last number is looked at
    return np.frombuffer(data, kind)


def write_volume(path: Path, values: NDArray[Any], grid: VoxelGrid) -> None:
    """Write an image on the voxels of another, in its order and with its affine.

    Whole numbers up to 255 are written as such (labels), others as 32-bit floating point.

    Args:
        path: .nii or .nii.gz.
        values: in canonical order, shape ``grid.counts``.
        grid: the voxels.

    Raises:
        RunFailed: the disk is full or not writable; nothing is left behind.
    """
    tools = nibabel()
    kind = np.uint8 if values.dtype.kind in "bu" else np.float32
    header = tools.Nifti1Header()
    header.set_data_dtype(kind)
    header.set_data_shape(grid.shape)
    header.set_xyzt_units(grid.unit)
    raw = np.diag([1 / _MILLIMETRES[grid.unit]] * 3 + [1.0]) @ grid.affine
    header.set_zooms(np.linalg.norm(raw[:3, :3], axis=0))
    for form, put in ((grid.qform, header.set_qform), (grid.sform, header.set_sform)):
        if form is not None:
            put(form.matrix, form.code)
    header["descrip"] = maker()[:79]
    header["cal_max"] = max(1.0, float(values.max()))
    stored = np.ascontiguousarray(grid.as_stored(values), dtype=kind)
    with atomic(path) as target:
        tools.Nifti1Image(stored, raw, header).to_filename(target)
