"""Rows of impedance tomography: bits of a row alone, data and derivatives of single calls."""

import numpy as np
import pytest
from promise_of_rows import assert_rows_keep_their_promise

from pdeinv.kernels import build
from pdeinv.problems.eit import Eit, EitConfig

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")

CELLS = {"unknown": {"kind": "piecewise", "cells": (4, 4), "std": 0.5}}
CUBES = {"unknown": {"kind": "piecewise", "cells": (2, 2, 2), "std": 0.5}}
EPSILON = {"kind": "log-gaussian", "mean": -13.5, "std": 0.3, "length": 0.5, "grid": (9, 9)}
LOOSE = {"count": 8, "cells": 2, "impedance": 0.1, "impedance_std": 0.5}
CAPACITIVE = {"frequency": 1e5, "permittivity": {"kind": "constant", "value": 1e-6}}
SETTINGS = {
    "electrodes": CELLS,
    "ellipses": {"unknown": {"kind": "ellipses", "count": 2}},
    "impedances": {**CELLS, "electrodes": LOOSE},
    "permittivity": {**CELLS, "frequency": 1e5, "permittivity": EPSILON},
    "complex, impedances, difference": {
        **CELLS, **CAPACITIVE, "electrodes": LOOSE, "difference": True,
    },
    "trigonometric": {**CELLS, "drive": {"pattern": {"kind": "trigonometric"}}},
    "cylinder": {
        **CUBES, "cells": 6, "electrodes": {"count": 4, "cells": 1, "impedance_std": 0.3},
        "domain": {"kind": "disc", "depth": 1.0}, "measure": {"include_driven": True},
    },
    "Dirichlet to Neumann": {**CELLS, "model": "continuum", "modes": 3},
    "Dirichlet to Neumann, complex": {**CELLS, **CAPACITIVE, "model": "continuum", "modes": 3},
    "Neumann to Dirichlet, complex": {
        **CELLS, **CAPACITIVE, "model": "continuum", "modes": 3, "map": "neumann-to-dirichlet",
    },
}  # fmt: skip


def setting(n, **settings):
    problem = Eit(
        EitConfig.model_validate(
            {"cells": 8, **{"electrodes": {"count": 8, "cells": 2}}, **settings}
        )
    )
    prior, rng = problem.prior(), np.random.default_rng(1)
    xis = 0.5 * rng.standard_normal((n, prior.dim))
    return problem.forward_model(problem.sensors("all")), np.array([prior.unwhiten(x) for x in xis])


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=list(SETTINGS))
def test_a_row_has_its_own_bits_and_those_of_single_calls_to_rounding(settings):
    model, ms = setting(19, **settings)
    fails = ms[0].copy()
    fails[0] = np.nan
    assert_rows_keep_their_promise(model, ms, fails)


@pytest.mark.parametrize("bad", [-1.0, 0.0, np.inf])
def test_a_row_without_a_conductivity_says_so(bad):
    model, ms = setting(3, **CELLS)
    ms[1] = bad
    found = model.rows(ms)
    assert list(found.failures) == [1]
    assert "conductivity" in found.failures[1] or "finite" in found.failures[1]


def test_a_row_whose_matrix_has_no_factor_fails_alone():
    model, ms = setting(19, **CELLS)
    whole = model.rows(ms)
    broken = ms.copy()
    broken[2] = 1e-320 * ms[2]
    broken[2, ::2] = 1e308
    found = model.rows(broken)
    assert list(found.failures) == [2]
    assert np.isnan(found.values[2]).all()
    sound = [i for i in range(19) if i != 2]
    np.testing.assert_array_equal(found.values[sound], whole.values[sound])
