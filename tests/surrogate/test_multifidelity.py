"""Coarse models other than Darcy's: every problem's coarser mesh, and the linearisation."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.errors import CapabilityError
from pdeinv.io.datasets import TrainingSet, prior_probe
from pdeinv.io.observations import Observations
from pdeinv.model.tangent import Tangent
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.plugins.surrogate import SolvedPairs
from pdeinv.surrogates.multifidelity.surrogate import Multifidelity, MultifidelityConfig

CASES = {
    "darcy": (
        {"cells": [16, 16], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.4}},
        "grid:3x3",
    ),
    "heat": (
        {
            "cells": 8,
            "source": 1.0,
            "time": {"steps": 8},
            "unknown": {"kind": "conductivity", "prior": {"kind": "piecewise", "cells": [2, 2]}},
        },
        "grid:3x3@0.2:1:3",
    ),
}


def dataset(problem, spec, n, seed=1):
    """Solved prior draws, without files."""
    prior, sensors = problem.prior(), problem.sensors(spec)
    model = WhitenedModel(prior, problem.forward_model(sensors))
    xi = np.random.default_rng(seed).standard_normal((n, prior.dim))
    return TrainingSet(
        problem.name, problem.config.model_dump(mode="json"), problem.observed, sensors, xi,
        np.stack([model(x) for x in xi]), prior_probe(prior), 0, "memory", None, None, {}, 0,
    )  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def case(request):
    config, spec = CASES[request.param]
    problem = make_problem(request.param, config)
    return problem, spec, dataset(problem, spec, 60)


def rms(surrogate, problem, spec, noise_std):
    fresh = dataset(problem, spec, 20, seed=2)
    model = surrogate.bind(problem, problem.prior(), fresh.sensors)
    return float(np.sqrt(np.mean(((model(fresh.xi) - fresh.values) / noise_std) ** 2)))


@pytest.mark.parametrize("coarse", ["level", "linear"])
def test_correction_lowers_the_error_of_each_coarse_model(case, coarse, tmp_path):
    problem, spec, data = case
    trained = Multifidelity.fit(data, problem, MultifidelityConfig(coarse=coarse), 1)
    errors = trained.metadata["errors"]
    found = rms(trained, problem, spec, trained.record.noise_std)
    assert found < 0.5 * errors["rms_over_sigma_coarse"]
    assert 0.3 < found / errors["rms_over_sigma"] < 3
    trained.save(tmp_path / "s")
    places = (problem, problem.prior(), data.sensors)
    model, again = trained.bind(*places), load_surrogate(tmp_path / "s").bind(*places)
    rng = np.random.default_rng(3)
    xi = 0.3 * rng.standard_normal(problem.prior().dim)
    np.testing.assert_array_equal(model(xi), again(xi))
    assert dot_product_test(model, xi, rng) < 1e-9
    assert taylor_test(model, xi, rng).slope > 1.9


@pytest.mark.parametrize(
    ("name", "finer"),
    [
        ("darcy", {"unknown": {"kind": "piecewise", "cells": [4, 4], "std": 0.4}}),
        (
            "heat",
            {"unknown": {"kind": "conductivity", "prior": {"kind": "piecewise", "cells": [4, 4]}}},
        ),
    ],
)
def test_a_tangent_is_used_where_it_helps_and_left_out_where_it_misleads(name, finer, tmp_path):
    """Sixteen unknowns and twelve pairs: the slope of the discrepancy cannot be learned."""
    config, spec = CASES[name]
    problem = make_problem(name, {**config, **finer})
    prior, sensors = problem.prior(), problem.sensors(spec)
    fine = WhitenedModel(prior, problem.forward_model(sensors))
    point, rng = 0.5 * np.ones(prior.dim), np.random.default_rng(3)
    at = fine.linearize(point)
    right = Tangent.along(np.eye(prior.dim), point, at.value, at.jvp)
    wrong = replace(right, images=-5 * right.images)
    near = point + 0.3 * rng.standard_normal((12, prior.dim))
    values = np.stack([fine(x) for x in near])
    noise = Noise(np.full(len(at.value), 0.02 * np.abs(at.value).max()))
    seen = Observations(problem.observed, at.value, sensors, noise)
    made = {
        name: Multifidelity.from_pairs(
            problem, SolvedPairs(seen, near, values, tangent), MultifidelityConfig(), 1
        )
        for name, tangent in (("plain", None), ("right", right), ("wrong", wrong))
    }
    assert [made[k].record.extra["tilted"] for k in made] == [False, True, False]
    assert made["right"].discrepancy.rms < 0.8 * made["plain"].discrepancy.rms
    made["right"].save(tmp_path / "s")
    places = (problem, prior, sensors)
    model, again = made["right"].bind(*places), load_surrogate(tmp_path / "s").bind(*places)
    np.testing.assert_array_equal(model(near[0]), again(near[0]))
    assert dot_product_test(model, near[0], rng) < 1e-9
    assert taylor_test(model, near[0], rng).slope > 1.9


def test_linearisation_is_that_of_the_fine_model_at_the_samples_mean(case):
    problem, _, data = case
    trained = Multifidelity.fit(data, problem, MultifidelityConfig(coarse="linear"), 1)
    plane, sensors = trained.plane, data.sensors
    at = WhitenedModel(problem.prior(), problem.forward_model(sensors)).linearize(plane.point)
    np.testing.assert_allclose(plane.point, data.xi.mean(axis=0))
    v = np.arange(1.0, len(plane.point) + 1)
    np.testing.assert_allclose(plane.jacobian @ v, at.jvp(v), rtol=1e-8)


def test_an_unknown_without_derivatives_is_refused():
    problem = make_problem("darcy", {"cells": [8, 8], "unknown": {"kind": "two-phase"}})
    data = dataset(problem, "grid:3x3", 12)
    with pytest.raises(CapabilityError, match=r"coarse = \"linear\" needs derivatives.*level"):
        Multifidelity.fit(data, problem, MultifidelityConfig(coarse="linear"), 1)


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from pdeinv.plugins.recipe import load_surrogate, make_problem
surrogate = load_surrogate(Path(sys.argv[1]))
identity = surrogate.record.identity
problem = make_problem(identity.problem, identity.problem_config)
model = surrogate.bind(problem, problem.prior(), identity.sensors)
assert np.isfinite(model(np.zeros(4))).all()
loaded = {name.split(".")[0] for name in sys.modules}
assert not loaded & {"dolfinx", "petsc4py", "torch"}, loaded
"""


def test_a_linear_coarse_model_needs_no_finite_elements(tmp_path):
    config, spec = CASES["darcy"]
    problem = make_problem("darcy", config)
    Multifidelity.fit(
        dataset(problem, spec, 20), problem, MultifidelityConfig(coarse="linear"), 1
    ).save(tmp_path / "s")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "s")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
