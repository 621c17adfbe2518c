"""The same problem in other units of length gives the same readings to rounding."""

import numpy as np
import pytest

from pdeinv.plugins.recipe import make_problem

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


CASES = {
    "darcy": ("darcy", darcy, "grid:6x6"),
    "heat": ("heat", heat, "grid:6x6@0.5:1:2"),
    "helmholtz": ("helmholtz", helmholtz, "ring:13"),
}


def readings(case, a):
    name, config, sensors = CASES[case]
    problem = make_problem(name, config(a))
    return problem.forward_model(problem.sensors(sensors), 0)(problem.prior().unwhiten(XI))


@pytest.mark.parametrize("case", CASES)
def test_readings_do_not_depend_on_the_unit_of_length(case):
    wanted = readings(case, 1.0)
    for a in (1e-5, 1e-7, 1e4):
        found = readings(case, a)
        assert np.abs(found - wanted).max() < 1e-13 * np.abs(wanted).max(), a
