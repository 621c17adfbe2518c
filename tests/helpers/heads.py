"""Images of a made-up head: maps of white and grey matter as other programs would store them."""

import nibabel as nib
import numpy as np

from pdeinv.problems.tumor.tissue import Phantom

LENGTHS = (64.0, 56.0, 48.0)
"""Of the box, mm; a small brain, so that tests are quick."""
SMALL = Phantom((28.0, 24.0, 20.0), 6.0, 0.0, ventricles=(0.35, 0.35))


def fractions(sides, lengths=LENGTHS, shape=SMALL):
    """White and grey matter in voxels of those sides, (nx, ny, nz): averages over eighths."""
    counts = [round(n / h) for n, h in zip(lengths, sides, strict=True)]
    fine = [(np.arange(2 * n) + 0.5) * h / 2 - length / 2
            for n, h, length in zip(counts, sides, lengths, strict=True)]  # fmt: skip
    points = np.stack([c.ravel() for c in np.meshgrid(*fine, indexing="ij")], axis=1)
    parts = (p.reshape([s for n in counts for s in (n, 2)]) for p in shape.fractions(points))
    return [p.mean(axis=(1, 3, 5)) for p in parts]


def affine_of(sides):
    """Voxels along the axes of the world, the middle of the box at its origin."""
    affine = np.diag([*sides, 1.0])
    affine[:3, 3] = np.array(sides) / 2 - np.array(LENGTHS) / 2
    return affine


def stored(path, values, affine, codes="RAS", dtype=np.float32, slope=None):
    """An image in the order ``codes``, of whole numbers times ``slope`` where that is given."""
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    made = nib.Nifti1Image(values / (slope or 1.0), affine, header)
    if slope is not None:
        made.header.set_slope_inter(slope, 0.0)
    ornt = nib.orientations
    turn = ornt.ornt_transform(nib.io_orientation(affine), ornt.axcodes2ornt(codes))
    turned = made.as_reoriented(turn)
    turned.set_data_dtype(dtype)
    nib.save(turned, path)
    return path


def head(folder, sides=(2.0, 2.0, 2.0), codes="RAS", scale=1.0, **how):
    """Maps of the small brain in a folder, and the table ``[problem.tissue]`` that names them."""
    files = [folder / f"{name}.nii.gz" for name in ("white", "grey")]
    for path, part in zip(files, fractions(sides), strict=True):
        stored(path, scale * part, affine_of(sides), codes, **how)
    return {"kind": "nifti", "white": str(files[0]), "grey": str(files[1])}


def tissue_lines(folder, **how):
    """The same as the lines of that table in a run file."""
    return "\n".join(f'{k} = "{v}"' for k, v in head(folder, **how).items())
