"""A program of its own for the complete electrode model, in NumPy and SciPy alone.

It shares nothing with pdeinv: its meshes are rings of points and their Delaunay triangulation, or
layers of those cut into tetrahedra; linear elements; a sparse factor and one solve an electrode.

    ∇·(γ∇u) = 0,   u + z γ ∂u/∂n = U_l on electrode l,   ∫ γ ∂u/∂n = I_l
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import factorial
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import Delaunay

__all__ = ["Tank", "response", "ring", "tank"]


@dataclass(frozen=True)
class Tank:
    """A mesh with electrodes.

    Attributes:
        points: shape (n, d), m.
        cells: corners of triangles or tetrahedra, shape (n_c, d + 1).
        electrodes: the facets of each, shape (n_f, d).
    """

    points: Any
    cells: Any
    electrodes: tuple[Any, ...]

    @property
    def centres(self):
        """Where a coefficient that is constant on cells is taken."""
        return self.points[self.cells].mean(axis=1)


def ring(count, start=0.0, coverage=0.5):
    """First and last angle of each of ``count`` equal electrodes, counter-clockwise."""
    middle = start + 2 * np.pi * np.arange(count) / count
    half = np.pi * coverage / count
    return np.stack([middle - half, middle + half], axis=1)


def tank(ends, radius=1.0, *, along=12, bulk=28, depth=None, bands=()):
    """A disc, or a cylinder, with electrodes between the given angles.

    Args:
        ends: first and last angle of each electrode of a ring, not overlapping.
        radius: m.
        along: edges along an electrode.
        bulk: cells across the radius in the middle.
        depth: height of the cylinder; None for a disc.
        bands: lowest and highest z of each ring of electrodes.
    """
    angles, owner = _rim(ends, along)
    points = _rings(angles, bulk)
    cells = Delaunay(points).simplices
    cells = cells[np.abs(_volumes(points[cells])) > 1e-12]
    edges = np.stack([np.arange(len(angles)), np.roll(np.arange(len(angles)), -1)], axis=1)
    facets = [edges[owner == k] for k in range(len(ends))]
    if depth is None:
        return Tank(radius * points, cells, tuple(facets))
    return _cylinder(radius * points, cells, facets, _levels(depth, bands, radius / bulk), bands)


def _rim(ends, along):
    """Angles of the boundary nodes, and the electrode (-1: none) of the edge after each."""
    order = np.argsort(ends[:, 0])
    angles, owner = [], []
    for here, there in zip(order, np.roll(order, -1), strict=True):
        low, high = ends[here]
        after = low + (ends[there][0] - low) % (2 * np.pi)
        gap = max(1, round(along * (after - high) / (high - low)))
        angles += [np.linspace(low, high, along, endpoint=False)]
        angles += [np.linspace(high, after, gap, endpoint=False)]
        owner += [np.full(along, here), np.full(gap, -1)]
    return np.concatenate(angles), np.concatenate(owner)


def _rings(angles, bulk):
    """Points of the unit disc: those of the rim, then rings ever coarser up to 1 / bulk."""
    found = [np.stack([np.cos(angles), np.sin(angles)], axis=1)]
    step, r, turn = 2 * np.pi / len(angles), 1.0, 0.0
    while r > 1.2 * step:
        r -= 0.87 * step
        n = max(6, round(2 * np.pi * r / step))
        phi = turn + 2 * np.pi * np.arange(n) / n
        found.append(r * np.stack([np.cos(phi), np.sin(phi)], axis=1))
        turn += 0.5 * step
        step = min(1.2 * step, 1 / bulk)
    return np.concatenate([*found, np.zeros((1, 2))])


def _levels(depth, bands, size):
    cuts = np.unique([0.0, depth, *np.ravel(bands)])
    parts = [np.linspace(a, b, 1 + max(2, round((b - a) / size)))[:-1]
             for a, b in pairwise(cuts)]  # fmt: skip
    return np.append(np.concatenate(parts), depth)


def _cylinder(plane, cells, edges, levels, bands):
    """Prisms over triangles, each cut into three tetrahedra by the numbers of its corners."""
    n, layers = len(plane), len(levels) - 1
    points = np.concatenate([np.column_stack([plane, np.full(n, z)]) for z in levels])
    a, b, c = np.sort(cells, axis=1).T
    cut = np.concatenate([np.stack(four, axis=1) for four in (
        (a, b, c, c + n), (a, b, b + n, c + n), (a, a + n, b + n, c + n))])  # fmt: skip
    solid = np.concatenate([cut + n * k for k in range(layers)])
    electrodes = []
    for low, high in bands:
        inside = [
            k for k in range(layers) if low - 1e-9 < levels[k] and levels[k + 1] < high + 1e-9
        ]
        for edge in edges:
            p, q = np.sort(edge, axis=1).T
            halves = np.concatenate(
                [np.stack(x, axis=1) for x in ((p, q, q + n), (p, p + n, q + n))]
            )
            electrodes.append(np.concatenate([halves + n * k for k in inside]))
    return Tank(points, solid, tuple(electrodes))


def _volumes(corners):
    return np.linalg.det(corners[:, 1:] - corners[:, :1]) / factorial(corners.shape[2])


def response(body, gamma, impedance, thickness=1.0):
    """Potentials of the electrodes under unit currents, a symmetric (electrodes, electrodes) table.

    Args:
        body: the mesh.
        gamma: admittivity of each cell, S/m, real or complex.
        impedance: of the contacts, ohm m2: one, or one each.
        thickness: of the slab that a plane body stands for, m.
    """
    count, n = len(body.electrodes), len(body.points)
    stiff = _stiffness(body, np.asarray(gamma))
    load, areas = np.zeros((n, count)), np.zeros(count)
    for k, z in enumerate(np.broadcast_to(impedance, (count,))):
        mass = _mass(body.points, body.electrodes[k]) / z
        stiff = stiff + mass
        load[:, k], areas[k] = np.asarray(mass.sum(axis=1)).ravel(), mass.sum()
    w = splu(sparse.csc_matrix(stiff)).solve(load.astype(stiff.dtype))
    table = thickness * (np.diag(areas) - load.T @ w)
    return np.linalg.pinv((table + table.T) / 2, rcond=1e-12)


def _stiffness(body, gamma):
    corners = body.points[body.cells]
    k, size = body.cells.shape
    affine = np.concatenate([np.ones((k, size, 1)), corners], axis=2)
    slopes = np.linalg.inv(affine)[:, 1:]
    weight = gamma * np.abs(_volumes(corners))
    local = np.einsum("cdi,cdj,c->cij", slopes, slopes, weight)
    rows, columns = np.repeat(body.cells, size, axis=1), np.tile(body.cells, (1, size))
    n = len(body.points)
    return sparse.csc_matrix((local.ravel(), (rows.ravel(), columns.ravel())), (n, n))


def _mass(points, facets):
    """∫ φ_i φ_j over the facets: size / ((d)(d + 1)) (1 + δ_ij)."""
    corners, d = points[facets], facets.shape[1]
    edges = corners[:, 1:] - corners[:, :1]
    size = np.sqrt(np.linalg.det(edges @ edges.swapaxes(1, 2))) / factorial(d - 1)
    local = (np.ones((d, d)) + np.eye(d)) / (d * (d + 1)) * size[:, None, None]
    rows, columns = np.repeat(facets, d, axis=1), np.tile(facets, (1, d))
    n = len(points)
    return sparse.csc_matrix((local.ravel(), (rows.ravel(), columns.ravel())), (n, n))
