"""Split Gibbs on the finite-element model, beside a sampler that shares no code with it."""

import numpy as np
import pytest

import pdeinv

UNKNOWN = {"kind": "log-gaussian", "modes": 5, "grid": [9, 9]}


@pytest.fixture(scope="module")
def obs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("darcy")
    truth = pdeinv.solve(
        pdeinv.problem("darcy", cells=8, unknown=UNKNOWN), seed=1, out=folder / "truth.nc"
    )
    return pdeinv.observe(truth, sensors="grid:4x4", noise_rel=0.05, seed=2, out=folder / "obs.nc")


def moments(result):
    xi = result["unconstrained_posterior"]["xi"].values
    return xi.mean(axis=(0, 1)), xi.std(axis=(0, 1))


@pytest.mark.slow
def test_it_finds_the_posterior_that_pcn_finds(obs):
    pcn = pdeinv.invert(obs, engine="pcn", seed=3, proposal="laplace", draws=8000, chains=2)
    split = pdeinv.invert(obs, engine="pnp-dm", seed=3, draws=1500, warmup=300, walkers=2)
    (mean, std), (found, width) = moments(pcn), moments(split)
    assert np.all(np.abs(found - mean) < 0.2 * std)
    assert np.all(np.abs(width / std - 1) < 0.15)
    assert 0.3 < split["sample_stats"]["acceptance_rate"].values.min() < 1
