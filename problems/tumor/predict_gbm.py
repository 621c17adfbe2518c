"""Patients in the layout of PREDICT-GBM: folders of images in, one density for each patient out.

``IN/Patient-00000/00000-wm.nii.gz`` and beside it ``gm``, ``tumorseg``, ``csf`` where it is there
and ``pet`` where a table ``[problem.pet]`` asks for it make ``OUT/00000.nii.gz``, on the voxels of
``wm``. Labels: 1 and 3 core, 2 oedema.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import xarray as xr

from pdeinv.config import merge
from pdeinv.engines.progress import Progress, silent
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.atomic import check_output
from pdeinv.io.lock import owned
from pdeinv.jobs.export_images import export_nifti
from pdeinv.jobs.import_data import import_file
from pdeinv.jobs.invert.run import Inversion, invert

__all__ = ["Patient", "remaining", "patients", "predictions"]

_FOLDER = re.compile(r"Patient-(\w+)")
_FLAG = re.compile(r"--(?:labels|voxel|white|grey|csf|scale|time)\b")
"""Flags of the importer, which ``--predict-gbm`` does not have."""
LABELS = "brats2023"
"""The convention whose numbers are those of PREDICT-GBM."""
ENGINE = "map"
"""What inverts where nothing else is asked for: one density is wanted for each patient."""

Tables = Mapping[str, Any]


@dataclass(frozen=True)
class Patient:
    """The images of one patient.

    Attributes:
        number: as in the names of files.
        folder: that holds them.
    """

    number: str
    folder: Path

    def image(self, name: str) -> Path:
        """Where an image is."""
        return self.folder / f"{self.number}-{name}.nii.gz"

    def output(self, out: Path) -> Path:
        """Where its density goes."""
        return out / f"{self.number}.nii.gz"


def patients(folder: Path) -> list[Patient]:
    """Those in a folder, in the order of their numbers.

    Raises:
        DataSchemaError: there is none, or one lacks an image.
    """
    if not folder.is_dir():
        raise DataSchemaError(
            f"{folder} is {'a file' if folder.exists() else 'not there'}; expected a folder of "
            "patients"
        )
    names = sorted(p.name for p in folder.iterdir())
    found = [Patient(m[1], folder / n) for n in names if (m := _FOLDER.fullmatch(n))]
    if not found:
        raise DataSchemaError(
            f"{folder} holds no patient; expected folders such as Patient-00000 with "
            "00000-wm.nii.gz in it"
        )
    others = [name for name in names if not _FOLDER.fullmatch(name)]
    if others:
        warnings.warn(
            f"no patients by their names, and left out: {', '.join(others)}", stacklevel=2
        )
    for patient in found:
        for name in ("wm", "gm", "tumorseg"):
            if not patient.image(name).is_file():
                raise DataSchemaError(f"no such file: {patient.image(name)}")
    return found


def remaining(found: Sequence[Patient], out: Path, *, overwrite: bool) -> list[Patient]:
    """Those that have no density yet, or all where densities shall be replaced.

    Raises:
        OutputExists: in the place of a density lies what pdeinv did not write, or nothing may.
        ConfigError: the folder is a file.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file; expected a folder, which need not exist")
    if not out.exists():
        check_output(out, kind="folder")
        return list(found)
    for patient in found:
        check_output(patient.output(out), overwrite=True)
    return [p for p in found if overwrite or not p.output(out).exists()]


def predictions(
    found: Sequence[Patient],
    out: Path,
    tables: Tables,
    report: Callable[[str], Progress] = lambda _: silent,
) -> Iterator[dict[str, Any]]:
    """Invert patients one after the other and write their densities.

    All images are read before the first is inverted, so that nothing is computed for a set with a
    fault.

    Args:
        found: the patients.
        out: the folder of their densities.
        tables: of the run file, on top of what the images say.
        report: progress of the patient of a number.

    Yields:
        Of each: number, verdict, misfit and cost.

    Raises:
        PdeinvError: images that cannot be used, or an inversion that failed.
    """
    with TemporaryDirectory(prefix="pdeinv-") as scratch:
        inversions = [_inversion(patient, Path(scratch), tables) for patient in found]
        out.mkdir(exist_ok=True)
        for patient, inversion in zip(found, inversions, strict=True):
            result = Path(scratch) / f"{patient.number}-result.nc"
            tree = invert(inversion, result, progress=report(patient.number))
            target = patient.output(out)
            with owned(target):
                export_nifti(result, target)
            yield {
                "patient": patient.number,
                "out": str(target),
                "converged": bool(tree.attrs["pdeinv_converged"]),
                "message": str(tree.attrs["pdeinv_message"]),
                "n_forward": int(tree.attrs["pdeinv_n_forward"]),
                "seconds": float(tree.attrs["pdeinv_seconds"]),
            }


def _imported(patient: Patient, options: Mapping[str, Any]) -> xr.Dataset:
    """The observation file of one patient.

    Raises:
        DataSchemaError: images that cannot be used; flags that only the importer has are called so.
    """
    try:
        return import_file("tumor", "nifti", patient.image("tumorseg"), options)
    except (ConfigError, DataSchemaError) as error:
        if _FLAG.search(str(error)) is None:
            raise
        raise DataSchemaError(
            f"patient {patient.number}: {error} (a flag of 'pdeinv import tumor nifti', by which "
            "this patient can be imported and then inverted by itself; --predict-gbm has none)"
        ) from None


def _inversion(patient: Patient, scratch: Path, tables: Tables) -> Inversion:
    """The checked inversion of one patient."""
    maps = {name: patient.image(key) for name, key in (("white", "wm"), ("grey", "gm"))}
    if patient.image("csf").is_file():
        maps["csf"] = patient.image("csf")
    if "pet" in tables.get("problem", {}):
        maps["pet"] = patient.image("pet")
    options = {**maps, "labels": LABELS}
    observations = scratch / f"{patient.number}.nc"
    netcdf.write(observations, _imported(patient, options))
    return Inversion.resolve(merge({"engine": {"name": ENGINE}}, tables), observations)
