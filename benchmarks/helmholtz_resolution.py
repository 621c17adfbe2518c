"""How many nodes per wavelength Helmholtz needs, and what its truncations reflect.

    python benchmarks/helmholtz_resolution.py     # 15 s; prints the tables of the docs

1. A Gaussian source in the middle of a square of five wavelengths radiates through the absorbing
   layer; its wave is known. Largest error on a ring of radius 0.45 relative to the largest wave.
2. A plane wave is scattered by a homogeneous cylinder, k·radius = 5, n = 1.5, on the square mesh
   that ``pdeinv`` itself makes, which does not follow the cylinder. Relative error in L2 on a ring
   around it, against the Bessel series.
3. The same radiation on a mesh fine enough that what is left is the reflection.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from pdeinv.fem.complex_system import WaveSystem, helmholtz_matrix
from pdeinv.fem.high_order import HighOrderSpace
from pdeinv.fem.pml import Layer, framed_rectangle

sys.path.append(str(Path(__file__).parents[1] / "tests/helpers"))
from helmholtz_exact import cylinder, gaussian_source

SIDES = (1.0, 1.0)
CENTRE = np.array([0.5, 0.5])
SOURCE_WIDTH = 0.06
ANGLES = np.linspace(0, 2 * np.pi, 128, endpoint=False)
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


def system(degree, cells, k, *, width=0.25, reflection=1e-6, impedance=False):
    """The discrete equation on the unit square and its elements; no layer with ``impedance``."""
    frame = (0.0, 0) if impedance else (width, max(2, round(width * cells)))
    mesh = framed_rectangle(SIDES, (cells, cells), "triangle", frame)
    space = HighOrderSpace.on_plain(mesh, degree)
    layer = None if impedance else Layer(SIDES, width, reflection)
    matrix = helmholtz_matrix(space, k, layer=layer, impedance=impedance)
    return space, WaveSystem(matrix, k, space.rule(2 * degree + 2, (0, 1, 0, 1)))


def radiation_error(degree, cells, wavelength, **truncation):
    k = 2 * np.pi / wavelength
    space, equation = system(degree, cells, k, **truncation)
    f = np.exp(-np.sum((equation.rule.points - CENTRE) ** 2, axis=1) / 2 / SOURCE_WIDTH**2)
    equation.factor(np.zeros_like(f))
    u = equation.solve(-equation.load(f[:, None].astype(complex)))
    found = (space.at(CENTRE + 0.45 * CIRCLE) @ u)[:, 0]
    exact = gaussian_source(k, SOURCE_WIDTH, np.full(len(found), 0.45))
    return float(np.abs(found - exact).max() / np.abs(exact).max()), space.n


def cylinder_error(degree, cells, radius=0.25, n=1.5):
    k = 5 / radius
    space, equation = system(degree, cells, k)
    offset = equation.rule.points - CENTRE
    q = (n - 1) * (np.hypot(*offset.T) < radius)
    equation.factor(q)
    u = equation.solve(equation.load((k**2 * q * np.exp(1j * k * offset[:, 0]))[:, None]))
    found = (space.at(CENTRE + 0.4 * CIRCLE) @ u)[:, 0]
    exact = cylinder(k, n, radius, 0.4 * CIRCLE)
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact)), space.n


def percent(value):
    return f"{100 * value:.2g} %"


def show(head, rows):
    for cells in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(str(c) for c in cells) + " |")
    print()


def resolution():
    """Nodes per wavelength against the error, by degree."""
    points = (5, 6, 8, 10, 12, 16, 24)
    errors = {
        p: [radiation_error(p, round(5 * w / p), 0.2)[0] for w in points] for p in (1, 2, 3, 4)
    }
    rows = [[w, *(percent(errors[p][i]) for p in errors)] for i, w in enumerate(points)]
    show(["nodes per wavelength", *(f"P{p}" for p in errors)], rows)
    return {"nodes_per_wavelength": points, "errors": errors}


def scattering():
    """The cylinder on meshes that do not follow it."""
    table, rows = [], []
    for degree, cells in ((1, 64), (1, 128), (2, 32), (2, 64), (3, 24), (3, 48), (4, 18), (4, 36)):
        error, n = cylinder_error(degree, cells)
        nodes = degree * cells * 2 * np.pi / (20 * np.sqrt(1.5))
        table.append({"degree": degree, "cells": cells, "unknowns": n, "error": error})
        rows.append([f"P{degree}", cells, n, f"{nodes:.3g}", percent(error)])
    show(["element", "cells", "unknowns", "nodes per inner wavelength", "error"], rows)
    return table


def reflection():
    """What is left on a mesh of degree 4 that resolves everything else."""
    wavelengths, table = (0.25, 0.5, 1.0, 2.0), {}
    for label, settings in {
        "PML, width 0.1": {"width": 0.1},
        "PML, width 0.25 (default)": {},
        "PML, width 0.5": {"width": 0.5},
        "impedance": {"impedance": True},
    }.items():
        table[label] = [radiation_error(4, 24, w, **settings)[0] for w in wavelengths]
    rows = [[name, *(f"{e:.1e}" for e in errors)] for name, errors in table.items()]
    show(["truncation", *(f"wavelength {w:g}" for w in wavelengths)], rows)
    return {"wavelengths": wavelengths, "errors": table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).parent / "results" / "helmholtz_resolution.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    found = {"resolution": resolution(), "cylinder": scattering(), "reflection": reflection()}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
