"""A failed solve leaves a model that still solves."""

import numpy as np
import pytest

from pdeinv.errors import SolverDiverged
from pdeinv.plugins.recipe import make_problem

CONFIG = {"cells": [14, 14], "unknown": {"kind": "piecewise", "cells": [7, 7]}}


def test_model_recovers_after_a_failed_factorisation():
    problem = make_problem("darcy", CONFIG)
    model = problem.forward_model(problem.sensors("grid:3x3"))
    good, bad = np.ones(49), np.where(np.arange(49) == 24, 1e30, 1e-30)
    before = model(good)
    with pytest.raises(SolverDiverged, match="failed"):
        model(bad)
    np.testing.assert_array_equal(model(good), before)
