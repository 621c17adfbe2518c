"""Whether a change left the shipped inversion of eit where it was, both checkouts on one mesh.

    python benchmarks/eit_same_mesh.py --before ../before        # about a minute

Gmsh's meshes depend on its input to the last digit, so that a checkout that gives it the body at
another size has another mesh, and answers that differ by the error of the mesh. Here the second
checkout takes the mesh that the first one made. ``map`` is compared by the relative difference, the
Laplace approximation by its draws as in ``same_posterior.py``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

HERE = Path(__file__).parents[1]
MODES = 47
"""Behind them no pair of equal eigenvalues is split."""


def inverted(example: Path, engine: str, mesh: Path, out: Path) -> None:
    """Invert in this checkout, by the mesh in the file where there is one."""
    from pdeinv.fem import triangulate
    from pdeinv.fem.mesh import PlainMesh

    own = triangulate.triangulated

    def given(*arguments: object) -> PlainMesh:
        if mesh.exists():
            held = dict(np.load(mesh))
            names = (str(name) for name in held.pop("names"))
            sides = dict(zip(names, held.pop("numbers").tolist(), strict=True))
            return PlainMesh(**held, sides=sides)
        made = own(*arguments)
        arrays = {name: getattr(made, name) for name in ("points", "cells", "edges", "tags")}
        np.savez(mesh, names=[*made.sides], numbers=[*made.sides.values()], **arrays)
        return made

    triangulate.triangulated = given
    from pdeinv.config import parse_toml
    from pdeinv.jobs.invert.run import Inversion, invert

    table = parse_toml((example / "run.toml").read_text(), "run.toml")
    table["problem"]["unknown"]["modes"] = MODES
    table["engine"] = {"name": engine, "tolerance": 1e-10}
    inversion = Inversion.resolve(table, example / "obs.nc")
    for module in [m for m in sys.modules.values() if getattr(m, "triangulated", None) is own]:
        module.triangulated = given
    invert(inversion, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="another checkout")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    example = args.before.resolve() / "examples" / "eit"
    if args.child:
        engine, mesh, out = args.child
        inverted(example, engine, Path(mesh), Path(out))
        return
    import xarray as xr
    from same_posterior import by_draws, by_estimates

    with TemporaryDirectory() as name:
        folder = Path(name)
        for engine, compare in (("map", by_estimates), ("laplace", by_draws)):
            outs = [folder / f"{engine}{k}.nc" for k in (0, 1)]
            for root, out in zip((args.before.resolve(), HERE), outs, strict=True):
                words = [root / ".venv/bin/python", __file__, "--before", args.before]
                subprocess.run([*words, "--child", engine, folder / "mesh.npz", out], check=True)
            figures = compare(*map(xr.open_datatree, outs))
            print(engine, ", ".join(f"{k} {v:.3g}" for k, v in figures.items()), flush=True)


if __name__ == "__main__":
    main()
