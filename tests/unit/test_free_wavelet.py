"""A wavelet that is unknown as a whole: its prior, what it leaves alone, and what it finds."""

import numpy as np
import pytest

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.engines.gaussian.map import Map, MapConfig
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.problems.seismic import Seismic, SeismicConfig
from pdeinv.problems.seismic.free_wavelet import FreeWavelet
from pdeinv.problems.seismic.source_config import SourceConfig

FREE = SourceConfig(frequency=10.0, amplitude=3.0, wavelet_std=0.4)
TIMES = 0.001 * np.arange(400)


def test_at_its_mean_it_is_the_ricker_wavelet():
    wavelet = FreeWavelet(FREE, "Pa")
    mean = wavelet.prior.unwhiten(np.zeros(wavelet.prior.dim))
    a = (np.pi * 10 * (TIMES - 0.11)) ** 2
    np.testing.assert_allclose(wavelet(mean, TIMES), 3 * (1 - 2 * a) * np.exp(-a), atol=1e-12)


def test_it_departs_for_its_duration_only_and_scatters_as_told():
    wavelet = FreeWavelet(FREE, "Pa")
    xi = np.random.default_rng(0).standard_normal((4000, wavelet.prior.dim))
    draws = wavelet.prior.unwhiten(xi)
    off = np.array([wavelet(d, TIMES) for d in draws[:200]]) - wavelet(
        wavelet.prior.unwhiten(0 * xi[0]), TIMES
    )
    end = FREE.duration + 2 * wavelet.spacing
    assert not off[:, end < TIMES].any()
    np.testing.assert_allclose(np.std(draws, axis=0), 1.2, rtol=0.05)
    near, far = (np.corrcoef(draws[:, 0], draws[:, k])[0, 1] for k in (1, 20))
    assert near > 0.9
    assert abs(far) < 0.1


def test_one_way_of_not_knowing_it_is_enough():
    for more in ({"shift_std": 0.01}, {"amplitude_std": 0.1}):
        with pytest.raises(ValueError, match="the whole wavelet is unknown"):
            SourceConfig(wavelet_std=0.1, **more)


def test_it_is_found_beside_the_velocity(tmp_path):
    """Data of a wavelet of another frequency, strength and time are fitted, the velocity found."""
    common = {
        "cells": [4, 3], "lengths": [480.0, 320.0], "boundary": {"width": 160.0},
        "unknown": {"kind": "uniform", "low": 2000.0, "high": 3000.0},
    }  # fmt: skip
    other = {"frequency": 9.0, "amplitude": 1.3, "delay": 0.15}
    true = Seismic(SeismicConfig.model_validate({**common, "source": other}))
    sensors = true.sensors("all")
    clean = true.forward_model(sensors)(np.array([2600.0]))
    noise = Noise(np.full(len(clean), 0.02 * float(np.std(clean))))
    data = clean + noise.sample(np.random.default_rng(1))
    source = {"wavelet_std": 0.5, "wavelet_duration": 0.32}
    problem = Seismic(SeismicConfig.model_validate({**common, "source": source}))
    prior = problem.prior()
    assert prior.space.names == ("velocity", "wavelet")
    model = WhitenedModel(prior, problem.forward_model(sensors))
    posterior = Posterior(prior, model, data, noise)
    found = run(Map(MapConfig(starts=1)), lambda: posterior, Run(1, tmp_path)).outcome
    m = prior.unwhiten(found.xi[0, 0])
    assert m[0] == pytest.approx(2600, rel=2e-3)
    wavelet = FreeWavelet(problem.config.source, "Pa")
    truth = FreeWavelet(SourceConfig(**other), "Pa")
    right = truth._known(wavelet.knots)
    off = np.linalg.norm(m[1:] - right) / np.linalg.norm(right)
    start = np.linalg.norm(wavelet._known(wavelet.knots) - right) / np.linalg.norm(right)
    assert off < 0.05
    assert start > 0.5
