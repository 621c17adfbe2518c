"""Every registered problem against every clause of the protocol, on small meshes."""

import pytest
from ours import ours

from pdeinv.plugins.conformance import check_problem

CASES = {
    "darcy": ({"cells": 8, "unknown": {"kind": "log-gaussian", "modes": 6, "grid": [9, 9]}}, None),
    "darcy, cells": ({"cells": [8, 6], "unknown": {"kind": "piecewise", "cells": [2, 3]}}, None),
    "darcy, phases": ({"cells": 8, "element": "Q2", "unknown": {"kind": "two-phase"}}, "all"),
    "eit": ({"cells": 8, "unknown": {"kind": "piecewise", "cells": [3, 2]}}, None),
    "eit, ellipses": ({"cells": 8, "frequency": 100.0, "unknown": {"kind": "ellipses"}}, None),
    "eit, map": ({"model": "continuum", "cells": 8, "modes": 4}, None),
    "flame-cantera, burner": (
        {
            "configuration": "burner",
            "temperatures": {"x": [0.0, 0.002, 0.03], "T": [300.0, 1600.0, 1800.0]},
        },
        "grid:9@X_OH,X_H2",
    ),
    "flame-cantera, from elsewhere": (
        {
            "unknown": {
                "rates": {"10": {"log_a": {"std": 0.1}}},
                "offset": {"kind": "normal", "std": 2e-4},
            }
        },
        "grid:5@T+speed",
    ),
    "flame-cantera, extrapolated": ({"extrapolate": True}, "speed:0.8,1.2"),
    "flame-species": ({"slope": 0.1, "curve": 0.2}, None),
    "flame-species, counterflow": (
        {"configuration": "counterflow", "slope": 0.15, "curve": 0.3},
        "grid:9@T,u,V,Y_O2",
    ),
    "heat": ({"cells": 8, "time": {"steps": 8}}, None),
    "heat, k": (
        {"cells": 8, "source": 1.0, "time": {"steps": 8}, "unknown": {"kind": "conductivity"}},
        "grid:3x2@0.2:1:3",
    ),
    "heat, q": ({"cells": 8, "time": {"steps": 8}, "unknown": {"kind": "source"}}, None),
    "heat, rod": ({"lengths": [1.0], "cells": 16, "time": {"steps": 8}}, None),
    "helmholtz": (
        {
            "cells": 6,
            "element": "P2",
            "frequencies": [1.0],
            "truncation": {"kind": "impedance"},
            "incident": {"kind": "plane", "count": 1},
            "unknown": {"kind": "gaussian", "length": 0.2, "std": 0.3, "grid": [9, 9]},
        },
        "ring:5",
    ),
    "helmholtz, f": (
        {
            "cells": 6,
            "element": "P2",
            "frequencies": [1.0],
            "quantity": "source",
            "truncation": {"kind": "dirichlet"},
        },
        None,
    ),
    "seismic": ({"cells": 8, "boundary": {"width": 160.0}, "time": {"final": 0.3}}, None),
    "seismic, layers": (
        {
            "boundary": {"width": 128.0, "top": "free"},
            "time": {"final": 0.3},
            "source": {"amplitude_std": 0.2, "shift_std": 0.01},
            "unknown": {"kind": "layers"},
        },
        "shots:1+receivers:0-7/2",
    ),
    "seismic, cells": (
        {
            "boundary": {"width": 0.0},
            "time": {"final": 0.3},
            "unknown": {"kind": "piecewise", "cells": [3, 2]},
        },
        "all@0.1:0.3:9",
    ),
    "seismic, deepwave": (
        {
            **{"model": "deepwave", "lengths": [320.0, 240.0], "cells": [5, 4]},
            "deepwave": {"layer": 8, "accuracy": 4},
            "time": {"final": 0.2},
        },
        "shots:1+receivers:0-7/2",
    ),
    "tumor": ({"cells": 24, "time": {"steps": 8}}, None),
    "tumor, differences": (
        {"cells": 24, "time": {"steps": 8}, "solver": "finite-differences", "voxel": 12.0},
        "grid:7@50,100",
    ),
    "tumor, solid": (
        {"lengths": [180.0, 150.0, 130.0], "cells": [10, 8, 8], "time": {"steps": 4}},
        "grid:3",
    ),
    "tumor, duration": (
        {
            "cells": 24,
            "solver": "finite-differences",
            "time": {"steps": 8, "window": 40.0},
            "unknown": {"duration": [60.0, 150.0]},
        },
        "grid:7@65,100",
    ),
    "tumor, masks": (
        {
            "cells": 24,
            "solver": "finite-differences",
            "time": {"steps": 8, "window": 40.0},
            "unknown": {"duration": [60.0, 150.0]},
            "masks": {"softness": 0.2, "core": 0.7},
        },
        "grid:7@65,100",
    ),
    "tumor, masks by mm": (
        {
            "cells": 24,
            "solver": "finite-differences",
            "time": {"steps": 8},
            "masks": {"softness_mm": {"median": 2.0, "std": 0.5}},
        },
        "grid:7",
    ),
    "tumor, factors": (
        {
            "cells": 24,
            "solver": "finite-differences",
            "time": {"steps": 8},
            "tensor": {"uniform": [1.4, 0.0, 0.8]},
            "masks": {"softness": 0.2},
            "unknown": {
                "diffusivity_factor": {"length": 90.0, "modes": 4, "nodes": 4},
                "growth_factor": {"length": 90.0, "modes": 3, "nodes": 4},
            },
        },
        "grid:7",
    ),
}
"""Configuration and sensors; a problem that is not here stands before the kit as it comes."""


def cases():
    """Each of our problems, and each variant of one."""
    names = ours("problems")
    return [*names, *(c for c in CASES if "," in c and c.partition(",")[0] in names)]


@pytest.mark.parametrize("case", cases())
def test_a_problem_keeps_its_protocol(case):
    config, sensors = CASES.get(case, (None, None))
    check_problem(case.partition(",")[0], config, sensors=sensors).raise_for_failures()
