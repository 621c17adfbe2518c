"""The posteriors of `verdicts.py`: their data, own models, and what quadrature says of them."""

import numpy as np
from samplers_parts.cases import Case as DarcyCase

import pdeinv
from pdeinv.io.observations import to_dataset

MIDDLE = 0.18
"""xi of the coordinate x = 0.5, uniform between 0.1 and 0.8: between the two sources."""


def darcy_49():
    """Case (a)."""
    return to_dataset(DarcyCase(49).observations(), darcy_attrs(49))


def darcy_attrs(unknowns):
    """What tells `invert` which problem the data are of."""
    from samplers_parts.cases import CONFIGS

    from pdeinv.config import dump_toml

    return {
        "pdeinv_kind": "observations",
        "pdeinv_problem": "darcy",
        "pdeinv_problem_config": dump_toml(CONFIGS[unknowns]),
    }


def darcy_100():
    """Case (b): data from a mesh twice as fine."""
    unknown = {"kind": "piecewise", "cells": [10, 10], "mean": 4.0, "std": 2.0}
    problem = pdeinv.problem("darcy", cells=40, element="Q1", source=10.0, unknown=unknown)
    truth = pdeinv.solve(problem, seed=20)
    return pdeinv.observe(truth, sensors="grid:12x12", noise_std=0.05, seed=21)


def heat():
    """Case (c): the source left of the line of sensors x = 0.5, which sees no side."""
    problem = pdeinv.problem(
        "heat",
        cells=12,
        element="Q1",
        conductivity=0.05,
        time={"final": 1.0, "steps": 10},
        unknown={
            "kind": "point-sources",
            "count": 1,
            "width": 0.1,
            "speed": 0.0,
            "low": [0.1, 0.1],
            "high": [0.8, 0.9],
            "strength": {"mean": 0.0, "std": 0.5},
        },
    )
    truth = pdeinv.solve(problem, m=np.array([0.3, 0.4, 1.0]), seed=1)
    sensors = "list:0.5,0.2;0.5,0.4;0.5,0.6;0.5,0.8@0.2:1:5"
    return pdeinv.observe(truth, sensors=sensors, noise_rel=0.02, seed=2)


BENT, FOLDED = 0.2, np.array([0.3, 0.6])
"""Noise of the banana's ridge, and of both data of the mixture."""

SHIFT, SLANT, FAR = 0.307, 0.3, 2.25
"""Prior mean of a, the slope that couples b to it, and the datum for a²."""


def banana():
    """Case (d): b = a² up to BENT, a within 2, prior N(0, I); the coarse model bends less."""

    def bent(curvature):
        return lambda m: np.array([m[1] - curvature * m[0] ** 2, m[0]])

    def jacobian(m):
        return np.array([[-2 * m[0], 1.0], [1.0, 0.0]])

    prior = pdeinv.priors.normal("m", mean=[0.0, 0.0], std=1.0)
    return pdeinv.own_model(bent(1.0), prior=prior, jacobian=jacobian, coarse=bent(0.95))


def banana_data():
    """(y, sigma)."""
    return np.array([0.0, 0.0]), np.array([BENT, 2.0])


def mixture():
    """Case (d): a² and b + SLANT a, so that a near 1.5 and near -1.5 both explain the data."""

    def folded(slope):
        return lambda m: np.array([slope * m[0] ** 2, m[1] + SLANT * m[0]])

    def jacobian(m):
        return np.array([[2 * m[0], 0.0], [SLANT, 1.0]])

    prior = pdeinv.priors.normal("m", mean=[SHIFT, 0.0], std=1.0)
    return pdeinv.own_model(folded(1.0), prior=prior, jacobian=jacobian, coarse=folded(1.03))


def mixture_data():
    """(y, sigma)."""
    return np.array([FAR, 0.3]), FOLDED


def _grid():
    axis = np.linspace(-6, 8, 1401)
    return np.meshgrid(axis, axis, indexing="ij")


def _weights(square):
    weight = np.exp(-0.5 * (square - square.min()))
    return weight / weight.sum()


def banana_moments():
    """Mean and standard deviation of xi = (a, b) by the trapezoidal rule."""
    a, b = _grid()
    weight = _weights(((b - a**2) / BENT) ** 2 + (a / 2) ** 2 + a**2 + b**2)
    mean = np.array([(weight * v).sum() for v in (a, b)])
    square = np.array([(weight * v**2).sum() for v in (a, b)])
    return mean, np.sqrt(square - mean**2)


def mixture_weight():
    """The mass of a > 0 by the trapezoidal rule."""
    a, b = _grid()
    misfit = ((a**2 - FAR) / FOLDED[0]) ** 2 + ((b + SLANT * a - 0.3) / FOLDED[1]) ** 2
    return float(_weights(misfit + (a - SHIFT) ** 2 + b**2)[a > 0].sum())
