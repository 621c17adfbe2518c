"""A patient of usual size through ``pdeinv invert --predict-gbm``: seconds, memory, Dice.

    python benchmarks/tumor_images.py

The head is a made-up brain in 240 x 240 x 155 voxels of 1 mm, stored as the BraTS challenges store
theirs (from left to right, front to back), with a tumor of two balls. Seconds are those of the
processor.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

from pdeinv.problems.tumor.tissue import Phantom

RESULTS = Path(__file__).parent / "results" / "tumor_images.json"
SHAPE = (240, 240, 155)
AFFINE = np.array([[-1.0, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])
BRAIN = Phantom((85.0, 68.0, 64.0), 9.0, 2.5)
CORE, WHOLE = 12.0, 22.0
"""Radii of the balls, mm."""
THRESHOLDS = (0.1, 0.2, 0.25, 0.3, 0.4)
"""Where the density is cut to be compared with the segmentation."""


def tissue() -> list[np.ndarray]:
    """White and grey matter; the brain's front looks along the second axis."""
    parts = [np.zeros(SHAPE, dtype=np.float32) for _ in range(2)]
    x, y = np.meshgrid(*(np.arange(n) + 0.5 - n / 2 for n in SHAPE[:2]), indexing="ij")
    for k in range(SHAPE[2]):
        height = np.full(x.size, k + 0.5 - SHAPE[2] / 2)
        for whole, part in zip(
            parts, BRAIN.fractions(np.stack([y.ravel(), x.ravel(), height], axis=1)), strict=True
        ):
            whole[:, :, k] = part.reshape(x.shape)
    return parts


def patient(folder: Path) -> None:
    """The images of one patient."""
    home = folder / "Patient-00000"
    home.mkdir(parents=True)
    white, grey = tissue()
    x, y, z = np.meshgrid(*(np.arange(n) + 0.5 for n in SHAPE), indexing="ij", sparse=True)
    away = np.sqrt((x - 150) ** 2 + (y - 150) ** 2 + (z - 85) ** 2)
    labels = np.where(away < CORE, 3, np.where(away < WHOLE, 2, 0)) * (white + grey > 0.3)
    images = {"wm": white, "gm": grey, "tumorseg": labels.astype(np.uint8)}
    for name, values in images.items():
        nib.Nifti1Image(values, AFFINE).to_filename(home / f"00000-{name}.nii.gz")


def dice(density: np.ndarray, whole: np.ndarray) -> dict[str, float]:
    """By threshold."""
    found = {}
    for least in THRESHOLDS:
        cut = density > least
        found[f"{least:g}"] = round(2 * float((cut & whole).sum() / (cut.sum() + whole.sum())), 4)
    return found


def measured(folder: Path) -> dict[str, object]:
    """What one run takes and finds."""
    source, out = folder / "in", folder / "out"
    patient(source)
    words = [
        *(sys.executable, "-m", "pdeinv", "invert", "--predict-gbm", str(source)),
        *("--out", str(out), "--seed", "1", "--json"),
    ]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, env={**os.environ})
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    (told,) = json.loads(done.stdout)["patients"]
    home = source / "Patient-00000"
    density = nib.load(out / "00000.nii.gz")
    white, labels = (nib.load(home / f"00000-{n}.nii.gz") for n in ("wm", "tumorseg"))
    return {
        "voxels": list(SHAPE),
        "cpu_seconds": round(spent.ru_utime + spent.ru_stime, 1),
        "peak_mb": round(spent.ru_maxrss / 1024),
        "n_forward": told["n_forward"],
        "converged": told["converged"],
        "affine_kept": bool(np.allclose(density.affine, white.affine)),
        "dice": dice(density.get_fdata(), labels.get_fdata() > 0),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=RESULTS)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder))
    given.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
