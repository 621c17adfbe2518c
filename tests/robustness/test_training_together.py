"""Two real processes that train one network equal one process; stopped or killed they continue."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from pdeinv.executors.ranks import Ranks
from pdeinv.surrogates.common.storage import load_arrays
from pdeinv.surrogates.training.checkpointing import CHECKPOINT

SCRIPT = """
import json, os, sys, time
import numpy as np
from pathlib import Path
from pdeinv.errors import PdeinvError
from pdeinv.plugins.fitting import FitRun
from pdeinv.surrogates.common.mlp import build_module
from pdeinv.executors.place import place_of
from pdeinv.executors.ranks import Ranks, leave, opened
from pdeinv.surrogates.common.torch_env import seeded
from pdeinv.surrogates.training.config import Data, TrainingConfig
from pdeinv.surrogates.training.train import train

folder, cases = Path(sys.argv[1]), json.loads(sys.argv[2])
rng = np.random.default_rng(0)
x = rng.standard_normal((60, 3))
y = np.stack([np.sin(x[:, 0]) + x[:, 1], x[:, 2] ** 2], axis=1)
data = Data(x[:40], y[:40], x[40:], y[40:])


def loss(predicted, target):
    return (predicted - target).square().mean()


with opened(place_of(os.environ), ends=True) as ranks:
    for case in cases:
        how, options = case.get("how", {}), case.get("options", {})
        if how.get("alone"):
            Ranks.sum_gradients = lambda *_: None
        if how.get("pause"):
            loss_of = loss

            def loss(predicted, target):
                time.sleep(how["pause"])
                return loss_of(predicted, target)

        config = TrainingConfig(**{"epochs": 10, "batch_size": 8, **options})
        # every process starts from other weights; those of the first count
        module = seeded(ranks.rank, "net", 0, lambda: build_module(3, (16, 16), 2))
        asked = []

        def should_stop():
            asked.append(1)
            return how.get("stop") == [ranks.rank, len(asked)]

        run = FitRun(
            folder / case["name"], resume=how.get("resume", False), ranks=ranks,
            dtype=how.get("dtype", "float32"), checkpoint_seconds=how.get("every", 30.0),
            should_stop=should_stop,
        )
        try:
            history = train(module, data, loss, config, 0, run)
        except PdeinvError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            leave(error.exit_code)
        if ranks.first:
            weights = {k: v.detach().numpy() for k, v in module.named_parameters()}
            losses = [history.train, history.valid]
            np.savez(folder / f"{case['name']}.npz", losses=losses, **weights)
"""


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(folder, n, cases):
    """``n`` processes as torchrun starts them."""
    common = {"WORLD_SIZE": str(n), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port())}
    return [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder), json.dumps(cases)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **common, "RANK": str(k), "OMP_NUM_THREADS": "1"},
        )
        for k in range(n)
    ]


def alone(folder, cases):
    """The same by this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["-c", str(folder), json.dumps(cases)])
        patch.setattr(Ranks, "sum_gradients", Ranks.sum_gradients)  # as it was, afterwards
        exec(SCRIPT, {})


def finish(processes):
    """Exit codes and what was said on stderr."""
    said = [p.communicate(timeout=120)[1] for p in processes]
    return [p.returncode for p in processes], said


def result(folder, name):
    with np.load(folder / f"{name}.npz") as found:
        return dict(found)


def gap(one, two):
    """The largest difference, relative to the largest value of its array."""
    return max(np.abs(one[k] - two[k]).max() / np.abs(one[k]).max() for k in one)


CASES = [
    {"name": "plain"},  # 50 steps
    {"name": "ragged", "options": {"batch_size": 13}},  # one sample is left for the last step
    {"name": "pieces", "options": {"accumulation": 2, "warmup": 2}},
    {"name": "average", "options": {"ema": 0.9, "optimizer": "adam"}},
    {"name": "double", "how": {"dtype": "float64"}},
    {"name": "control", "how": {"alone": True}},
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Every case by one process and by two."""
    one, two = (tmp_path_factory.mktemp(f"by{n}") for n in (1, 2))
    alone(one, CASES)
    codes, said = finish(start(two, 2, CASES))
    assert codes == [0, 0], said
    return one, two


@pytest.mark.parametrize("name", [c["name"] for c in CASES if c["name"] != "control"])
def test_two_processes_equal_one(runs, name):
    one, two = (result(folder, name) for folder in runs)
    assert gap(one, two) < (1e-11 if name == "double" else 1e-5)
    assert one["losses"][0][-1] < 0.7 * one["losses"][0][0]


def test_processes_that_do_not_share_gradients_differ(runs):
    """Negative control of the test above."""
    assert gap(*(result(folder, "control") for folder in runs)) > 1e-2


def test_only_the_first_process_writes(runs):
    for folder in runs:
        assert len((folder / "plain" / "log.jsonl").read_text().splitlines()) == 10


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_one_process_asked_to_stop_stops_all_and_one_alone_may_go_on(tmp_path, runs, rank):
    codes, said = finish(start(tmp_path, 2, [{"name": "plain", "how": {"stop": [rank, 13]}}]))
    assert codes == [75, 75], said
    assert "and step" in said[0]
    assert load_arrays(tmp_path / "plain" / CHECKPOINT)[1]["step"] > 0
    alone(tmp_path, [{"name": "plain", "how": {"resume": True}}])
    assert gap(result(tmp_path, "plain"), result(runs[1], "plain")) < 1e-5


@pytest.mark.slow
def test_killed_within_an_epoch_two_processes_resume_to_the_same_bits(tmp_path, runs):
    how = {"every": 0.0, "pause": 0.02}
    processes = start(tmp_path, 2, [{"name": "plain", "how": how}])
    saved, until = tmp_path / "plain" / CHECKPOINT, time.monotonic() + 120
    while not (saved.exists() and load_arrays(saved)[1]["history"]["train"]):
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(processes[1].pid, signal.SIGKILL)  # a node fails
    codes, said = finish(processes)
    assert codes[1] == -9
    assert codes[0] == 1, said
    assert "lost contact with another training process" in said[0]
    codes, said = finish(start(tmp_path, 2, [{"name": "plain", "how": {"resume": True}}]))
    assert codes == [0, 0], said
    assert gap(result(tmp_path, "plain"), result(runs[1], "plain")) == 0
