"""``info`` tells how far any run is, from its first moment on."""

import json

import numpy as np
import pytest

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.prior import cost
from pdeinv.engines.run.chain import state_type
from pdeinv.engines.run.checkpoint import ChainStore
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import DataSchemaError
from pdeinv.io.arrays import write_arrays
from pdeinv.io.runs import remember
from pdeinv.jobs.info import describe
from pdeinv.jobs.two_level.admission import Difference
from pdeinv.jobs.two_level.explorers import Agreement
from pdeinv.jobs.two_level.trial import Trial, keep_tests
from pdeinv.plugins import registry

CASE = LinearGaussian.example(np.random.default_rng(2))
SHORT = {
    "pcn": {"draws": 40, "warmup": 10},
    "hmc": {"draws": 10, "warmup": 10},
    "emcee": {"draws": 20, "warmup": 5},
}


@pytest.mark.parametrize("name", ["map", "laplace", "eki", "pcn", "hmc", "emcee", "gauss-newton"])
def test_every_chain_shows_the_misfit_of_its_state(name, tmp_path):
    engine, posterior = registry.build("engines", name, SHORT.get(name, {})), CASE.posterior()
    run(engine, lambda: posterior, Run(1, tmp_path))
    found = describe(tmp_path)
    assert found["kind"] == "run"
    assert found["engine"] == name
    assert len(found["chains"]) == engine.n_chains
    for k, row in enumerate(found["chains"]):
        saved = ChainStore(tmp_path, k).load(state_type(engine))
        expected = float(np.mean(saved.state.misfit))
        if name == "emcee":
            expected = float(np.mean(-saved.state.log_prob - cost(saved.state.xi)))
        assert row["misfit"] == pytest.approx(expected, rel=1e-3)
        assert row["seconds"] >= 0
        assert row["cpu_seconds"] >= 0


def test_a_run_that_has_only_begun_is_a_run(tmp_path):
    training = {"surrogate": {"name": "multifidelity", "max_rounds": 8}}
    remember(tmp_path / "a.nc.run", {"engine": {"name": "two-level"}, "seed": 1, **training})
    found = describe(tmp_path / "a.nc.run")
    assert found["kind"] == "run"
    assert found["engine"] == "two-level"
    assert found["training_rounds_done"] == 0
    assert found["chains"] == []
    (tmp_path / "other").mkdir()
    with pytest.raises(DataSchemaError, match="of no known kind"):
        describe(tmp_path / "other")


def training(folder, lines):
    remember(folder, {"surrogate": {"name": "latent", "epochs": 50}, "seed": 1})
    (folder / "log.jsonl").write_text(lines)
    return describe(folder)


def test_a_live_training_shows_its_last_epoch(tmp_path):
    rows = [{"epoch": n, "epochs": 50, "valid": 1 / n, "seconds": 0.5} for n in (1, 2, 3)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    found = training(tmp_path / "s.run", text + '{"epoch": 4, "epo')  # written at this moment
    assert found["training"] == "latent"
    assert found["progress"] == rows[-1]
    assert found["seconds_logged"] == 1.5
    assert not found["saved"]
    (tmp_path / "s.run" / "training.safetensors").touch()
    (tmp_path / "s.run" / "STOP").touch()
    again = describe(tmp_path / "s.run")
    assert again["saved"]
    assert again["stop_asked"]


def test_a_training_before_its_first_epoch_is_one(tmp_path):
    assert training(tmp_path / "s.run", "")["progress"] == {}


def test_training_rounds_show_the_last_test(tmp_path):
    folder = tmp_path / "a.nc.run"
    remember(folder, {"engine": {"name": "two-level"}, "surrogate": {"max_rounds": 8}})
    (folder / "round0.npz").touch()
    agreed, apart = Agreement(1.01, "component 0", 5.0), Agreement(1.2, "component 0", 5.0)
    good = Difference(-0.25, 0.5)
    trials = [Trial(40, Difference(-1.5, 2.5), agreed), Trial(80, good, apart)]
    keep_tests(folder, [t.entry(1.0) for t in trials])
    found = describe(folder)
    assert found["training_rounds_done"] == 1
    told = {
        "test_mean_misfit_difference": -0.25,
        "test_sd_misfit_difference": 0.5,
        "test_r_hat_of_explorers": 1.2,
        "test_passed": False,
    }
    assert told.items() <= found.items()
    keep_tests(folder, [Trial(80, good, agreed).entry(1.0)])
    assert describe(folder)["test_passed"] is True


@pytest.mark.parametrize("surrogate", [{}, {"path": "elsewhere", "inflate": False}])
def test_only_a_run_that_trains_tells_rounds(surrogate, tmp_path):
    remember(tmp_path / "a.nc.run", {"engine": {"name": "pcn"}, "surrogate": surrogate})
    assert not [name for name in describe(tmp_path / "a.nc.run") if "train" in name]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("batch0.json", '{"samples": "many", "failed": []}', "wrong entry batch.samples: input"),
        ("batch0.json", '{"samples": 2}', "wrong entry batch.failed: field required"),
        ("batch0.json", "[" * 10_000, "is damaged .is nested deeper than 100"),
    ],
)
def test_batches_that_say_something_else_are_refused(tmp_path, name, text, message):
    (tmp_path / "run.json").write_text('{"fingerprint": "a", "kind": "dataset"}')
    (tmp_path / name).write_text(text)
    with pytest.raises(DataSchemaError, match=message):
        describe(tmp_path)


@pytest.mark.parametrize("text", ["3", '"x"', "[]", "[" * 10_000, "\ufeff{}"])
def test_a_mark_that_is_no_table_says_nothing(tmp_path, text):
    remember(tmp_path / "a.run", {"engine": {"name": "pcn"}})
    (tmp_path / "a.run" / "run.json").write_text(text)
    (tmp_path / "a.run" / "tests.json").write_text(text)
    assert describe(tmp_path / "a.run")["kind"] == "run"


def test_a_chain_that_says_something_else_is_refused(tmp_path):
    folder = tmp_path / "a.run"
    remember(folder, {"engine": {"name": "pcn"}})
    (folder / "run.json").write_text('{"fingerprint": "a", "engine": "pcn"}')
    write_arrays(folder / "chain0.state.npz", meta=json.dumps({"step": -1, "counters": {}}))
    with pytest.raises(DataSchemaError, match=r"chain0\.state\.npz is damaged .*meta\.step"):
        describe(folder)
