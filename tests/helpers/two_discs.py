"""Tanks with two discs: data of a solver of its own, and whether a picture shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from complete_electrode import response, ring, tank
from scipy import ndimage

from pdeinv.problems.eit import Measured, to_dataset

__all__ = [
    "CASES",
    "CONTRASTS",
    "Case",
    "Picture",
    "contrast_at",
    "observations",
    "picture",
    "targets",
]

CONTRASTS = 5.0, 0.2
NOISE = 0.002
"""Of the largest voltage."""
RADIUS, AWAY = 0.25, 0.5
"""Of the discs (balls), and their distance from the axis, in radii of the tank."""
OMEGA, PERMITTIVITY = 2 * np.pi, 0.05
"""Of the complex case: γ = 1 + 0.31i in S/m around the discs."""


@dataclass(frozen=True)
class Case:
    """One layout of electrodes, drives and measurements.

    Attributes:
        angles: first and last angle of the electrodes of a ring.
        drives: pairs of electrodes.
        measures: pairs of electrodes.
        tables: of the problem, what the data do not say.
        radius: m.
        depth: of a cylinder, m.
        bands: lowest and highest z of its rings.
        impedance: ohm m2.
        driven: whether voltages on driven electrodes are data.
        difference: whether the data are taken against an empty tank.
        complex: whether γ is.
        grid: nodes of the picture along each axis.
    """

    angles: Any
    drives: Any
    measures: Any
    tables: dict[str, Any] = field(default_factory=dict)
    radius: float = 1.0
    depth: float | None = None
    bands: tuple[tuple[float, float], ...] = ()
    impedance: float = 0.01
    driven: bool = False
    difference: bool = False
    complex: bool = False
    grid: tuple[int, ...] = (65, 65)


def _neighbours(n, step=1, first=0):
    return [(first + k, first + (k + step) % n) for k in range(n)]


def _ktc_drives():
    odd = range(0, 32, 2)
    pairs = [(k, (k + 2) % 32) for k in odd]
    return pairs + [(k, one) for one in (0, 8, 16, 24) for k in odd if k != one]


RINGS = (0.2, 0.3), (0.5, 0.6)
CASES = {
    "16 adjacent": Case(ring(16), _neighbours(16), _neighbours(16)),
    "16 opposite": Case(ring(16), _neighbours(16, 8), _neighbours(16)),
    "3-D, two rings": Case(
        ring(16),
        [*_neighbours(16), *_neighbours(16, first=16)],
        [*_neighbours(16), *_neighbours(16, first=16), (0, 16)],
        {
            "domain": {"kind": "disc", "radius": 1.0, "depth": 0.8},
            "electrodes": {"height": 0.1},
            "cells": 12,
        },
        depth=0.8,
        difference=True,
        bands=RINGS,
        grid=(13, 33, 33),
    ),
    "KTC": Case(
        ring(32, np.deg2rad(90 + 360 / 128)),
        _ktc_drives(),
        [(k, k + 1) for k in range(31)],
        radius=0.115,
        impedance=1e-6,
        driven=True,
        difference=True,
    ),
    "complex": Case(
        ring(16),
        _neighbours(16),
        _neighbours(16),
        {
            "frequency": 1.0,
            "permittivity": {"kind": "log-gaussian", "mean": -3.0},
        },
        complex=True,
    ),
}


@cache
def _mesh(name):
    case = CASES[name]
    fine = {"along": 24, "bulk": 56} if case.depth is None else {"along": 4, "bulk": 14}
    return tank(case.angles, case.radius, depth=case.depth, bands=case.bands, **fine)


def targets(name, seed):
    """Centres of the conductor and of the resistor, shape (2, d), m."""
    case, rng = CASES[name], np.random.default_rng([seed, 1])
    first = rng.uniform(0, 2 * np.pi)
    angle = np.array([first, first + rng.uniform(2.2, 4.0)])
    plane = AWAY * case.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return plane if case.depth is None else np.column_stack([plane, np.full(2, case.depth / 2)])


def contrast_at(points, centres, radius):
    """σ over that of the background."""
    found = np.ones(len(points))
    for centre, contrast in zip(centres, CONTRASTS, strict=True):
        found[np.linalg.norm(points - centre, axis=1) < RADIUS * radius] = contrast
    return found


def _dipoles(pairs, count):
    table = np.zeros((len(pairs), count))
    for k, (a, b) in enumerate(pairs):
        table[k, a], table[k, b] = 1.0, -1.0
    return table


def observations(name, seed):
    """An observation file of the case, and the largest error of its noise-free data."""
    case, body = CASES[name], _mesh(name)
    count = len(body.electrodes)
    drives, measures = 1e-3 * _dipoles(case.drives, count), _dipoles(case.measures, count)
    left_out = (drives != 0).astype(int) @ (measures != 0).T.astype(int) > 0

    def voltages(contrast, stream):
        gamma = contrast * (1 + 1j * OMEGA * PERMITTIVITY if case.complex else 1.0)
        clean = drives @ response(body, gamma, case.impedance) @ measures.T
        if not case.driven:
            clean = np.where(left_out, np.nan, clean)
        std = NOISE * np.nanmax(np.abs(clean))
        rng = np.random.default_rng([seed, stream])
        noise = rng.normal(size=(2, *clean.shape))
        return clean + std * (noise[0] + 1j * noise[1] if case.complex else noise[0]), std

    found, std = voltages(contrast_at(body.centres, targets(name, seed), case.radius), 2)
    empty, spread = None, 0.0
    if case.difference:
        empty, spread = voltages(np.ones(len(body.cells)), 3)
    middle = case.angles.mean(axis=1)
    places = case.radius * np.stack([np.cos(middle), np.sin(middle)], axis=1)
    if case.bands:
        heights = [sum(band) / 2 for band in case.bands]
        places = np.concatenate(
            [np.column_stack([places, np.full(len(places), z)]) for z in heights]
        )
    measured = Measured(
        found,
        drives,
        measures,
        positions=places,
        widths=case.radius * float(np.ptp(case.angles[0])),
        impedance=case.impedance,
        sigma=float(np.hypot(std, spread)),
        reference=empty,
    )
    return to_dataset(measured, config=case.tables)


@dataclass(frozen=True)
class Picture:
    """What an image shows of the conductor and of the resistor, in this order.

    Attributes:
        distance: of the blob from the true centre, in radii of the tank; infinite without one.
        peak: the most extreme σ over the background in it.
        mean: the geometric mean over the true disc.
    """

    distance: tuple[float, float]
    peak: tuple[float, float]
    mean: tuple[float, float]

    @property
    def right(self):
        """Whether both are within a tenth of the radius, and of the right sign."""
        return max(self.distance) <= 0.1 and self.peak[0] > 1.0 > self.peak[1]


def picture(points, inside, shape, sigma, name, seed):
    """Compare an image, σ at the nodes of a grid, with the truth."""
    case, centres = CASES[name], targets(name, seed)
    ratio = np.log(np.where(inside, np.maximum(sigma, 1e-9), 1.0))
    ratio = np.where(inside, ratio - np.median(ratio[inside]), 0.0)
    found = []
    for sign, centre in zip((1, -1), centres, strict=True):
        blob = (sign * ratio).reshape(shape)
        labels, _ = ndimage.label(blob > 0.5 * blob.max())
        chosen = (labels == labels.flat[int(blob.argmax())]).ravel() & (blob.ravel() > 0)
        where = (
            np.average(points[chosen], axis=0, weights=blob.ravel()[chosen])
            if chosen.any()
            else np.inf
        )
        near = inside & (np.linalg.norm(points - centre, axis=1) < RADIUS * case.radius)
        distance = float(np.linalg.norm(where - centre)) / case.radius
        found.append(
            (distance, float(np.exp(sign * blob.max())), float(np.exp(ratio[near].mean())))
        )
    return Picture(*(tuple(x) for x in zip(*found, strict=True)))
