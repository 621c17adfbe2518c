"""Continuous piecewise linear functions on triangles, in numpy: matrices and evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from pdeinv.bayes.fields.spde import MeshMatrices
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.fem.mesh import PlainMesh
from pdeinv.typing import Array

__all__ = ["barycentric", "p1_matrices"]


def _corners(mesh: PlainMesh) -> Array:
    if mesh.shape != "triangle":
        raise ConfigError(f"expected a mesh of triangles, got {mesh.shape}s; triangulate it first")
    return mesh.points[mesh.cells]


def _gradients(corners: Array) -> tuple[Array, Array]:
    """Gradients of the three hat functions, shape (k, 3, 2), and signed areas, shape (k,)."""
    e = np.roll(corners, 1, axis=1) - np.roll(corners, -1, axis=1)
    area = 0.5 * (e[:, 0, 0] * e[:, 1, 1] - e[:, 0, 1] * e[:, 1, 0])
    normal = np.stack([-e[:, :, 1], e[:, :, 0]], axis=2)
    return normal / (2 * area[:, None, None]), area


def p1_matrices(mesh: PlainMesh) -> MeshMatrices:
    """Lumped mass, stiffness and boundary mass of the hat functions of a mesh of triangles."""
    grads, area = _gradients(_corners(mesh))
    area = np.abs(area)
    n = len(mesh.points)
    lumped = np.bincount(mesh.cells.ravel(), np.repeat(area / 3, 3), minlength=n)
    local = np.einsum("kid,kjd,k->kij", grads, grads, area)
    stiffness = _scatter(mesh.cells, local, n)
    along = np.diff(mesh.points[mesh.edges], axis=1)[:, 0]
    length = np.hypot(along[:, 0], along[:, 1])
    pattern = np.array([[2.0, 1.0], [1.0, 2.0]]) / 6
    boundary = _scatter(mesh.edges, length[:, None, None] * pattern, n)
    return MeshMatrices(mesh.points, lumped, stiffness, boundary)


def _scatter(nodes: Any, local: Array, n: int) -> Any:
    k = nodes.shape[1]
    rows, columns = np.repeat(nodes, k, axis=1), np.tile(nodes, (1, k))
    return sparse.csc_array((local.ravel(), (rows.ravel(), columns.ravel())), (n, n))


def barycentric(mesh: PlainMesh, points: Array) -> Any:
    """P with (P m)(p) the piecewise linear interpolant of the node values m.

    Args:
        mesh: triangles.
        points: shape (n, 2).

    Raises:
        DataSchemaError: a point lies outside the mesh.
    """
    corners = _corners(mesh)
    grads, _ = _gradients(corners)
    centres = corners.mean(axis=1)
    radius = np.sqrt(np.sum((corners - centres[:, None]) ** 2, axis=2)).max()
    near = cKDTree(centres).query_ball_point(points, radius * (1 + 1e-9))
    best, weights = np.full(len(points), -1), np.zeros((len(points), 3))
    for k, candidates in enumerate(near):
        if not candidates:
            continue
        offset = points[k] - centres[candidates]
        inside = 1 / 3 + np.einsum("cid,cd->ci", grads[candidates], offset)
        pick = int(np.argmax(inside.min(axis=1)))
        if inside[pick].min() > -1e-9:
            best[k], weights[k] = candidates[pick], inside[pick]
    if (best < 0).any():
        k = int(np.flatnonzero(best < 0)[0])
        raise DataSchemaError(
            f"point {k} at (x, y) = ({points[k, 0]:g}, {points[k, 1]:g}) lies outside the mesh "
            "of the unknown; remove it or correct its coordinates"
        )
    rows = np.repeat(np.arange(len(points)), 3)
    shape = (len(points), len(mesh.points))
    return sparse.csr_array((weights.clip(0).ravel(), (rows, mesh.cells[best].ravel())), shape)
