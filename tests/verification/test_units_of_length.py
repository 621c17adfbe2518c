"""The same problem in other units of length gives the same readings to rounding."""

import numpy as np
import pytest

from pdeinv.config import parse_toml
from pdeinv.io.datasets import prior_probe, same_prior
from pdeinv.plugins.recipe import make_problem
from pdeinv.problems.eit import Measured, to_dataset

FIELD = {"kind": "log-gaussian", "modes": 4, "grid": [9, 9]}
XI = np.array([0.5, -1.0, 0.7, 0.3])


def darcy(a):
    unknown = {**FIELD, "length": 0.4 * a}
    return {"lengths": [a, a], "cells": 32, "source": 1 / a**2, "unknown": unknown}


def heat(a):
    prior = {**FIELD, "kind": "gaussian", "length": 0.4 * a}
    unknown = {"kind": "initial-state", "prior": prior}
    coefficients = {"conductivity": 0.05 * a**2, "time": {"steps": 4}}
    return {"lengths": [a, a], "cells": 32, "unknown": unknown, **coefficients}


def helmholtz(a):
    return {
        "lengths": [a, a],
        "cells": 24,
        "element": "P2",
        "frequencies": [2 / a],
        "region": [0.2 * a, 0.8 * a, 0.2 * a, 0.8 * a],
        "truncation": {"kind": "pml", "width": 0.25 * a},
        "unknown": {**FIELD, "kind": "gaussian", "length": 0.2 * a},
    }


def eit(a, **domain):
    electrodes = {"count": 8, "width": 0.2 * a, "impedance": 0.01 * a}
    unknown = {**FIELD, "length": 0.5 * a}
    domain = domain or {"kind": "disc", "radius": a}
    return {"domain": domain, "cells": 12, "electrodes": electrodes, "unknown": unknown}


def ellipse(a):
    return eit(a, kind="ellipse", axes=[a, 0.7 * a])


def thorax(a):
    return eit(a, kind="thorax", radius=a)


def plate(a):
    return eit(a, kind="rectangle", lengths=[2 * a, 1.5 * a])


CASES = {
    "darcy": ("darcy", darcy, "grid:6x6"),
    "heat": ("heat", heat, "grid:6x6@0.5:1:2"),
    "eit": ("eit", eit, "all"),
    "eit, ellipse": ("eit", ellipse, "all"),
    "eit, thorax": ("eit", thorax, "all"),
    "eit, rectangle": ("eit", plate, "all"),
    "helmholtz": ("helmholtz", helmholtz, "ring:13"),
}


def readings(case, a):
    name, config, sensors = CASES[case]
    problem = make_problem(name, config(a))
    return problem.forward_model(problem.sensors(sensors), 0)(problem.prior().unwhiten(XI))


@pytest.mark.parametrize("case", CASES)
def test_readings_do_not_depend_on_the_unit_of_length(case):
    wanted = readings(case, 1.0)
    for a in (1e-5, 1e-7, 0.14, 1e4):
        found = readings(case, a)
        assert np.abs(found - wanted).max() < 1e-13 * np.abs(wanted).max(), a


def test_files_of_instruments_say_the_radius_of_a_small_body_too():
    angle = 2 * np.pi * np.arange(8) / 8
    radius = 1.2345678e-5
    places = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    pairs = np.eye(8) - np.roll(np.eye(8), 1, axis=1)
    found = to_dataset(Measured(np.ones((8, 8)), pairs, pairs, positions=places))
    config = parse_toml(found.attrs["pdeinv_problem_config"], "")
    assert config["domain"]["radius"] == pytest.approx(radius, rel=1e-8)


def test_priors_of_small_unknowns_are_told_apart():
    prior = make_problem("darcy", darcy(1.0)).prior()

    class Tiny:
        dim, space = prior.dim, prior.space

        def __init__(self, factor):
            self.factor = factor

        def unwhiten(self, xi):
            return 1e-15 * self.factor * prior.unwhiten(xi)

    assert same_prior(Tiny(1.0), prior_probe(Tiny(1.0)))
    assert not same_prior(Tiny(1.0), prior_probe(Tiny(1.01)))
