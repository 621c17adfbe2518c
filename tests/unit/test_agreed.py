"""Run files beside the configuration that a file of data or of a truth carries."""

import pytest
from ours import ours

from pdeinv.errors import ConfigError
from pdeinv.plugins.agreed import apart
from pdeinv.plugins.registry import configured


def held(problem, **keys):
    return configured("problems", problem, keys).model_dump(mode="json")


@pytest.mark.parametrize("problem", [name for name in ours("problems") if name != "own"])
def test_a_problem_agrees_with_its_own_file(problem):
    assert apart(problem, held(problem), {}) is None
    assert apart(problem, held(problem), held(problem)) is None


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"cells": 8.0}, None),
        ({"unknown": {"kind": "log-gaussian"}}, None),
        ({"cells": 64}, "cells = 8, and [problem] asks for 64"),
        ({"unknown": {"modes": 7}}, "unknown.modes = 4, and [problem] asks for 7"),
        (
            {"unknown": {"kind": "piecewise", "cells": [2, 2]}},
            "unknown.kind = 'log-gaussian', and [problem] asks for 'piecewise'",
        ),
    ],
)
def test_the_first_other_key_is_told_with_both_values(keys, told):
    mine = held("darcy", cells=8, unknown={"kind": "log-gaussian", "modes": 4})
    found = apart("darcy", mine, keys)
    assert (found and str(found)) == told


def test_a_wrong_key_is_refused_as_everywhere():
    with pytest.raises(ConfigError, match="celss"):
        apart("darcy", held("darcy"), {"celss": 8})
