"""Harmonic extensions of boundary data: known functions of the disc, gradients, channels."""

import numpy as np
import pytest

from pdeinv.config import parse
from pdeinv.plugins import hooks
from pdeinv.problems.eit import Eit, EitConfig


def make(**settings):
    return Eit(parse(EitConfig, {"cells": 24, **settings}, "problem"))


def continuum(kind):
    return make(model="continuum", map=kind, modes=3, reference=2.0)


def extended(problem, shape=(9, 9), spec="all"):
    found = hooks.extensions(problem, problem.sensors(spec), shape)
    grid = problem.grid(shape)
    points = np.stack([grid["x"], grid["y"]], axis=1)
    return found, points, np.linalg.norm(points, axis=1) < 0.9


@pytest.mark.parametrize(
    ("kind", "current"), [("dirichlet-to-neumann", False), ("neumann-to-dirichlet", True)]
)
def test_extensions_into_the_disc_are_powers_of_z(kind, current):
    """r^k cos kθ has that potential, and k times the conductivity as current, on the circle."""
    found, points, inside = extended(continuum(kind))
    z = points[inside] @ np.array([1, 1j])
    for k in (1, 2, 3):
        for part, at in ((np.real, 2 * k - 2), (np.imag, 2 * k - 1)):
            scale = (1 / (2 * k) if current else 1) / np.sqrt(np.pi)
            value, dx, dy = found.fields[at][:, inside] / scale
            slope = k * z ** (k - 1)
            assert value == pytest.approx(part(z**k), abs=0.02)
            assert dx == pytest.approx(part(slope), abs=0.15 * k)
            assert dy == pytest.approx(part(1j * slope), abs=0.15 * k)


def test_electrode_data_are_extended_by_the_currents_of_their_patterns():
    """Pattern 4 of eight electrodes is pattern 0 turned by half a turn."""
    found, _, inside = extended(make(electrodes={"count": 8, "cells": 2}))
    assert found.channels == len(found.fields) == 8
    first, fourth = found.fields[0, 0, inside], found.fields[4, 0, inside]
    peak = np.abs(first).max()
    assert first == pytest.approx(fourth[::-1], abs=0.03 * peak)
    assert first != pytest.approx(fourth, abs=0.3 * peak)


def test_a_channel_is_the_sum_over_the_data_of_its_injection():
    problem = continuum("neumann-to-dirichlet")
    found, _, _ = extended(problem, spec="list:0,1;0,2;4,1")
    assert list(found.channel) == [0, 0, 1]
    channels = found(np.array([[1.0, 2.0, -3.0]]))
    first = found.fields[1] + 2 * found.fields[2]
    assert channels[0, :3] == pytest.approx(first)
    assert channels[0, 3:] == pytest.approx(-3 * found.fields[1])


def test_real_and_imaginary_parts_have_channels_of_their_own():
    problem = make(electrodes={"count": 8, "cells": 2}, frequency=1e3,
                   permittivity={"kind": "constant", "value": 1e-4})  # fmt: skip
    found, _, _ = extended(problem)
    assert found.channels == 16


def test_other_problems_have_none():
    from pdeinv.plugins.recipe import make_problem

    darcy = make_problem("darcy", {})
    assert hooks.extensions(darcy, darcy.sensors("grid:3x3"), (5, 5)) is None
