"""What tells an output of pdeinv from somebody else's file, so that only the former is replaced.

NetCDF and VTKHDF files carry the attribute ``pdeinv_version``, figures name pdeinv as the software
that made them, NIfTI images in their description and SEG-Y files in the first line of their text,
TOML begins with a note, surrogates have their ``metadata.json``, run folders and folders of images
a file ``pdeinv.json``.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from pdeinv.errors import DataSchemaError, OutputExists
from pdeinv.foreign import read_json
from pdeinv.io.names import spelled
from pdeinv.io.reading import lock_on
from pdeinv.io.seal import has_seal
from pdeinv.io.trial import check_sound
from pdeinv.provenance import versions

__all__ = [
    "ATTRIBUTE",
    "GZIP",
    "RUN_MARK",
    "attributes_of",
    "check_mark",
    "figure_metadata",
    "maker",
    "noted",
    "written_by_pdeinv",
]

ATTRIBUTE = "pdeinv_version"
"""Of the root of NetCDF and HDF5 files."""

RUN_MARK = "pdeinv.json"
"""In a run folder."""

GZIP = b"\x1f\x8b"
"""How a compressed file begins."""

_NOTE = "# written by pdeinv"
_SVG = re.compile(rb"<dc:creator>\s*<cc:Agent>\s*<dc:title>pdeinv\b")
_HEAD, _TAIL = 1 << 14, 1 << 20
"""How much of a figure is looked at: metadata stand at the start of SVG and at the end of PDF."""


def maker() -> str:
    """The name and version of this software."""
    return f"pdeinv {versions().get('pdeinv', '')}".strip()


def figure_metadata(suffix: str, title: str = "") -> dict[str, str]:
    """What matplotlib is to write into a figure of that format, with its title if it has one."""
    about = {"Title": title} if title else {}
    return {"Software" if suffix == ".png" else "Creator": maker(), **about}


def noted(text: str) -> str:
    """TOML text behind the note that marks it."""
    return f"{_NOTE}{maker().removeprefix('pdeinv')}\n{text}"


def check_mark(path: Path, option: str = "--out") -> None:
    """Refuse to replace what is at ``path``, unless pdeinv wrote it.

    Raises:
        OutputExists: it did not, or left no mark, or another program has it open.
    """
    if not written_by_pdeinv(path):
        locked = lock_on(path) if path.is_file() and os.access(path, os.R_OK) else None
        if locked:
            raise OutputExists(f"{path}: {locked}; close it there, or choose another {option}")
        raise OutputExists(
            f"{path} carries no mark of pdeinv, and only what pdeinv wrote is replaced; move or "
            f"delete it yourself, or choose another {option}"
        )


def written_by_pdeinv(path: Path) -> bool:
    """Whether a file or folder carries a mark of pdeinv; False where it cannot be read."""
    try:
        if path.is_dir():
            return _is_run(path / RUN_MARK) or _is_surrogate(path / "metadata.json")
        if not path.is_file():  # a device, or a link to nothing
            return False
        with path.open("rb") as file:
            head = file.read(len(_NOTE))
            look = next((f for start, f in _LOOKS.items() if head.startswith(start)), None)
            return look is not None and look(path, file)
    except OSError:
        return False


def _json(file: Path) -> dict[str, Any]:
    try:
        found = read_json(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_run(file: Path) -> bool:
    return isinstance(_json(file).get(ATTRIBUTE), str)


def _is_surrogate(file: Path) -> bool:
    return isinstance(_json(file).get("surrogate"), str)


def attributes_of(path: Path, *names: str) -> dict[str, Any]:
    """Those of a NetCDF file that it has of some; none where it is no such file."""
    import netCDF4

    if not _sound(path):
        return {}
    try:
        with spelled(path.absolute()) as name, netCDF4.Dataset(str(name)) as dataset:
            return {k: dataset.getncattr(k) for k in names if k in dataset.ncattrs()}
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError):
        return {}


def _sound(path: Path) -> bool:
    try:
        check_sound(path)
    except (DataSchemaError, OSError):
        return False
    return True


def _in_netcdf(path: Path, _file: BinaryIO) -> bool:
    return bool(attributes_of(path, ATTRIBUTE))


def _in_hdf5(path: Path, file: BinaryIO) -> bool:
    """NetCDF-4 is HDF5; not every HDF5 file opens as NetCDF. A damaged one may be ours as well."""
    if (has_seal(path) and not lock_on(path)) or _in_netcdf(path, file):
        return True
    if not _sound(path):
        return False
    try:
        import h5py
    except ModuleNotFoundError:
        return False
    try:
        with h5py.File(path, "r") as found:
            return ATTRIBUTE in found.attrs
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError):
        return False


def _in_png(_path: Path, file: BinaryIO) -> bool:
    """A text chunk before the picture names the software."""
    file.seek(8)
    while len(begin := file.read(8)) == 8 and begin[4:] != b"IDAT":
        size = int.from_bytes(begin[:4], "big")
        if begin[4:] == b"tEXt" and size < _HEAD:
            if file.read(size).startswith(b"Software\0pdeinv"):
                return True
            size = 0
        file.seek(size + 4, os.SEEK_CUR)  # the rest, and the checksum
    return False


def _in_pdf(path: Path, file: BinaryIO) -> bool:
    file.seek(-min(_TAIL, path.stat().st_size), os.SEEK_END)
    return b"/Creator (pdeinv" in file.read()


def _in_svg(_path: Path, file: BinaryIO) -> bool:
    file.seek(0)
    return _SVG.search(file.read(_HEAD)) is not None


def _in_nifti(path: Path, _file: BinaryIO) -> bool:
    """The description in the header of an image, compressed or not."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP
        with gzip.open(path) if packed else path.open("rb") as stream:
            return stream.read(228)[148:].startswith(b"pdeinv")
    except (EOFError, zlib.error):
        return False


def _in_segy(_path: Path, file: BinaryIO) -> bool:
    """The first line of the textual header, which is in EBCDIC."""
    file.seek(0)
    return "written by pdeinv" in file.read(80).decode("cp037")


_LOOKS: dict[bytes, Callable[[Path, BinaryIO], bool]] = {
    b"\x89HDF\r\n\x1a\n": _in_hdf5,
    b"CDF": _in_netcdf,
    b"\x89PNG\r\n\x1a\n": _in_png,
    b"%PDF-": _in_pdf,
    b"<?xml": _in_svg,
    GZIP: _in_nifti,
    b"\x5c\x01\0\0": _in_nifti,
    b"\xc3": _in_segy,
    _NOTE.encode(): lambda _path, _file: True,
}
"""How a file of each format is looked at, by its first bytes."""
