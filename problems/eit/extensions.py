"""Harmonic extensions of boundary data into a body of the reference conductivity.

The data of one injection are a function on the boundary, Σ_k y_k ψ_k over the measurements k. It
is extended by the potential of the reference body that the same function makes there: prescribed
potentials of a Dirichlet-to-Neumann map, current densities of a Neumann-to-Dirichlet map, and
currents into the electrodes of measurement pattern k otherwise. One factorisation serves all
patterns, and all data that will ever come.

Reference: Guo, Cao and Chen (2023), Transformer meets boundary value inverse problems.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pdeinv.model.extensions import Extensions
from pdeinv.model.simplices import cell_values_on, linear_on
from pdeinv.typing import Array

from .bodies.response import Body

__all__ = ["harmonic_fields", "placed"]


def harmonic_fields(
    body: Body, measures: Array, reference: tuple[float, Array], places: Array
) -> Array:
    """Potential and gradient of each measurement pattern, shape (patterns, 1 + d, places).

    Args:
        body: the discretised body, elements of one node per degree of freedom.
        measures: patterns as rows over electrodes or boundary functions.
        reference: the conductivity, and the contact impedances.
        places: shape (n, d); those outside of the mesh get values of its rim.
    """
    energy, (sigma, z) = body.energy, reference
    response = body.respond(np.full(len(energy.rule.weights), sigma), z)
    u = (response.fields @ measures.T)[np.argsort(energy.space.node_of_dof)]
    mesh = energy.space.nodes
    nodes, cells = mesh.points, mesh.cells
    value = linear_on(nodes, cells, places) @ u
    slopes = cell_values_on(nodes, cells, places)
    parts = [value, *(slopes @ g for g in _gradients(nodes, cells, u))]
    return np.stack([p.T for p in parts], axis=1)


def _gradients(nodes: Array, cells: Any, u: Array) -> Array:
    """∂u/∂x, ∂u/∂y, ... of piecewise linear functions (nodes, k) in each cell, (d, cells, k)."""
    corners, values = nodes[cells], u[cells]
    edges = corners[:, 1:] - corners[:, :1]
    found = np.linalg.solve(edges, values[:, 1:] - values[:, :1])
    return np.asarray(np.moveaxis(found, 1, 0))


def placed(fields: Array, rows: Any) -> Extensions:
    """The fields for the data of picked entries: a channel for each injection and component."""
    numbers = 2 * rows.row + rows.imaginary
    channel = np.unique(numbers, return_inverse=True)[1].ravel()
    return Extensions(fields, rows.column.astype(np.intp), channel.astype(np.intp))
