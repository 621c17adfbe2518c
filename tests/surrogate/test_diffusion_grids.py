"""A learned prior whose backbone is an operator denoises alike on grids it has not seen."""

import numpy as np
import pytest
from diffusion_cases import GAUSSIAN, SMALL, drawn

from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.errors import SurrogateRejected
from pdeinv.executors.devices import import_torch
from pdeinv.plugins.law import law_of
from pdeinv.plugins.recipe import make_problem
from pdeinv.surrogates.diffusion.cosines import Cosines, cosine_matrix
from pdeinv.surrogates.diffusion.surrogate import DiffusionPrior
from pdeinv.surrogates.diffusion.uno import _resampled, _spectral

UNO = {**SMALL, "backbone": "uno", "modes": 6}
FINE = {**GAUSSIAN, "unknown": {**GAUSSIAN["unknown"], "grid": [17, 17]}}


def fitted(case, **options):
    problem, data = case
    return DiffusionPrior.fit(data, problem, DiffusionPrior.Config(**{**UNO, **options}), 1)


@pytest.fixture(scope="module")
def case():
    return drawn(GAUSSIAN, 600)


@pytest.fixture(scope="module")
def learned(case):
    return fitted(case)


def law_on(learned, config):
    problem = make_problem("darcy", config)
    return law_of(learned, problem, problem.prior(), problem.sensors("grid:2x2"))


def squares(own, law, level, seed=3, n=200):
    """Mean squared errors of the modes of fields of the true law, (rows, columns)."""
    rows = round(np.sqrt(own.dim))
    xi, prior = np.random.default_rng(seed).standard_normal((n, 6)), own.space
    fields = make_problem("darcy", FINE if rows == 17 else GAUSSIAN).prior().gaussian(xi)
    zeta = law.cosines.zeta(fields)
    shared = np.random.default_rng(seed + 1).standard_normal((n, 9, 9))
    noise = np.random.default_rng(seed + 2).standard_normal((n, rows, rows))
    noise[:, :9, :9] = shared
    off = law(zeta + level * noise.reshape(n, -1), level) - zeta
    assert prior.size == own.dim
    return np.mean((law.cosines.amplitude.ravel() * off) ** 2, axis=0).reshape(rows, rows)


def test_it_beats_the_wiener_filter_of_phases():
    problem, data = drawn({**GAUSSIAN, "unknown": {"kind": "two-phase", "grid": [9, 9]}}, 300)
    found = fitted((problem, data), epochs=20)
    judged = found.record.errors["error_over_wiener"]
    assert judged < 0.97
    untrained = fitted((problem, data.rows(slice(0, 60))), epochs=1, learning_rate=1e-12)
    assert untrained.record.errors["error_over_wiener"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("level", [0.3, 1.0, 3.0])
def test_errors_of_shared_modes_are_those_of_the_training_grid(learned, level):
    coarse, fine = (squares(*law_on(learned, c), level) for c in (GAUSSIAN, FINE))
    # the highest wave of a grid holds shorter ones as well
    total = [np.sqrt(e[:8, :8].sum()) for e in (coarse, fine)]
    assert total[1] == pytest.approx(total[0], rel=0.1)


def test_another_grid_and_mesh_are_taken_and_nothing_else(learned):
    own, law = law_on(learned, {**FINE, "cells": [4, 4]})
    assert own.dim == law.space.size == 17 * 17
    for change in ({"lengths": [2.0, 1.0]}, {"unknown": {**FINE["unknown"], "std": 2.0}}):
        with pytest.raises(SurrogateRejected, match="surrogate was trained for darcy with"):
            law_on(learned, {**FINE, **change})


def test_convolutions_are_of_their_grid(case):
    unet = fitted(case, epochs=1, backbone="unet")
    with pytest.raises(SurrogateRejected, match="grid"):
        law_on(unet, FINE)
    own, _ = law_on(unet, {**GAUSSIAN, "cells": [4, 4]})  # the mesh is not what fields are on
    assert own.dim == 9 * 9


def test_derivatives_on_another_grid_are_those_of_the_denoiser(learned):
    own, law = law_on(learned, FINE)
    rng = np.random.default_rng(0)
    at, dz, w = rng.standard_normal((3, 1, own.dim))
    slope = (law(at + 1e-5 * dz, 0.5) - law(at - 1e-5 * dz, 0.5)) / 2e-5
    assert np.sum(w * slope) == pytest.approx(np.sum(dz * law.vjp(at, 0.5, w)), rel=1e-6)


def test_coordinates_on_another_grid_are_the_same_waves():
    rng, sides = np.random.default_rng(0), ((0.0, 1.0), (0.0, 2.0))
    fields = make_problem("darcy", GAUSSIAN).prior().gaussian(rng.standard_normal((200, 6)))
    known = Cosines.fit(fields, RegularGrid(sides, (9, 9)), 1.1)
    other = known.on(RegularGrid(sides, (17, 17)), 1.1)
    np.testing.assert_allclose(other.amplitude[:9, :9], known.amplitude, rtol=1e-12)
    np.testing.assert_array_equal(other.variance[:9, :9], known.variance)
    zeta = rng.standard_normal((9, 9))
    padded = np.zeros((17, 17))
    padded[:9, :9] = zeta
    one, two = (c.mean + c.centred(z.ravel()[None]) for c, z in ((known, zeta), (other, padded)))
    np.testing.assert_allclose(two.reshape(17, 17)[::2, ::2], one.reshape(9, 9), atol=1e-10)
    back = other.on(RegularGrid(sides, (9, 9)), 1.1)
    np.testing.assert_allclose(back.mean, known.mean, atol=1e-10)
    assert (np.diff(other.variance.diagonal()[9:]) <= 0).all()


def test_spectral_layers_act_on_waves_whatever_the_grid():
    torch = import_torch()
    waves = torch.tensor(np.random.default_rng(0).standard_normal((1, 2, 4, 4)))
    weights = torch.tensor(np.random.default_rng(1).standard_normal((2, 3, 5, 5)))
    seen = {}
    for n in (9, 17):
        matrix = torch.tensor(cosine_matrix(n)[:, :4])
        seen[n] = _spectral(matrix @ waves @ matrix.T, weights)
    np.testing.assert_allclose(seen[17][:, :, ::2, ::2], seen[9], atol=1e-12)
    np.testing.assert_allclose(_resampled(seen[9], (17, 17)), seen[17], atol=1e-12)
    np.testing.assert_allclose(_resampled(seen[17], (9, 9)), seen[9], atol=1e-12)
