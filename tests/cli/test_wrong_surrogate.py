"""A run that a wrong surrogate has spoiled still writes its result, which says so."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.io.netcdf import read_tree
from pdeinv.jobs.invert import run
from pdeinv.jobs.two_level.admission import SurrogateReport


@dataclass(frozen=True)
class Tripled:
    """Three times the heads: a surrogate that fits the data where the model does not."""

    inner: Any
    kind = "surrogate"
    capabilities = frozenset()

    @property
    def m_space(self):
        return self.inner.m_space

    @property
    def d_space(self):
        return self.inner.d_space

    def __call__(self, m):
        return 3.0 * self.inner(m)


@pytest.fixture
def spoiled(monkeypatch):
    """Two-level runs get such a surrogate, and no test of it."""

    def given(_inversion, made, *_):
        def build() -> Posterior:
            whole = made()
            wrong = WhitenedModel(whole.prior, Tripled(whole.model.model))
            return replace(whole, coarse=replace(whole, model=wrong, coarse=None))

        figures = {"sd_misfit_difference_heldout": 0.5}
        return build, SurrogateReport(figures=figures, points=np.zeros((2, 4)))

    monkeypatch.setattr(run, "_with_surrogate", given)


SHORT = ("engine.draws=8", "engine.warmup=0", "engine.tuning=100", "engine.chains=2")


def test_the_result_is_written_and_names_the_surrogate(call, work, spoiled):
    options = [word for key in SHORT for word in ("--set", key)]
    words = ("invert", "obs.nc", "--config", "small.toml", "--engine", "two-level", "--seed", 1)
    found = call(*words, *options, "--out", "r.nc", "--fail-unconverged", "--json")
    assert found.exit_code == 3, found.stderr
    tree = read_tree(work / "r.nc")
    assert tree.attrs["pdeinv_converged"] == 0
    message = tree.attrs["pdeinv_message"]
    assert message.startswith("not converged: ")
    assert "the likely cause is the surrogate" in message
    assert "ESS" in message or "draws" in message
    assert int(tree["two_level"]["finite"].sel(estimator="split")) == 0
    assert np.isfinite(tree["unconstrained_posterior"]["xi"]).all()


def test_a_spent_budget_stays_in_the_verdict(call, work):
    words = ("invert", "obs.nc", "--config", "small.toml", "--engine", "pcn", "--seed", 1)
    lengths = ("--set", "engine.warmup=5", "--set", "engine.thin=1", "--set", "engine.searches=0")
    assert call(*words, *lengths, "--max-solves", 15, "--out", "r.nc").exit_code == 0
    message = read_tree(work / "r.nc").attrs["pdeinv_message"]
    assert message.startswith("not converged: budget spent; ")
    assert message.count("converged") == 1
