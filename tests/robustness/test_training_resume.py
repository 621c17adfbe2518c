"""Training: stopped, killed, diverged and resumed; the global random state is left alone."""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pdeinv.errors import ConfigError, DataSchemaError, Preempted, RunFailed
from pdeinv.executors.devices import find_device
from pdeinv.plugins.fitting import FitRun
from pdeinv.surrogates.common.mlp import Mlp, build_module
from pdeinv.surrogates.common.split import Split
from pdeinv.surrogates.common.storage import load_arrays, save_arrays
from pdeinv.surrogates.common.torch_env import seeded
from pdeinv.surrogates.training.checkpointing import CHECKPOINT, PREVIOUS
from pdeinv.surrogates.training.config import Data, TrainingConfig
from pdeinv.surrogates.training.train import train

CONFIG = TrainingConfig(epochs=12, batch_size=8, patience=100)

CASE = """
import numpy as np
from pathlib import Path
from pdeinv.plugins.fitting import FitRun
from pdeinv.surrogates.common.mlp import Mlp, build_module
from pdeinv.surrogates.common.torch_env import seeded
from pdeinv.surrogates.training.config import Data, TrainingConfig
from pdeinv.surrogates.training.train import train


def data():
    x = np.random.default_rng(0).standard_normal((60, 3))
    y = np.stack([np.sin(x[:, 0]) + x[:, 1], x[:, 2] ** 2], axis=1)
    return Data(x[:40], y[:40], x[40:], y[40:])


def loss(predicted, target):
    return (predicted - target).square().mean()
"""
namespace: dict = {}
exec(CASE, namespace)
data, loss = namespace["data"], namespace["loss"]


def network(seed=0):
    return seeded(seed, "net", 0, lambda: build_module(3, (16, 16), 2))


def fitted(config=CONFIG, seed=0, samples=None, criterion=loss, **run):
    module = network(seed)
    history = train(module, samples or data(), criterion, config, seed, FitRun(**run))
    return Mlp.from_arrays({k: v.numpy() for k, v in module.state_dict().items()}), history


def same(a, b):
    return all(np.array_equal(v, b.arrays()[k]) for k, v in a.arrays().items())


def stop_after(n):
    seen = []
    return {"progress": lambda *_: seen.append(1), "should_stop": lambda: len(seen) >= n}


def test_training_lowers_the_loss_and_repeats_bit_for_bit():
    _, long = fitted(CONFIG.model_copy(update={"epochs": 100}))
    assert long.train[-1] < 0.1 * long.train[0]
    assert long.best < 0.8 * long.valid[0]
    first, _ = fitted()
    assert same(first, fitted()[0])
    assert not same(first, fitted(seed=1)[0])


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_stopped_and_resumed_equals_uninterrupted(tmp_path, optimizer):
    config = CONFIG.model_copy(update={"optimizer": optimizer})
    whole, history = fitted(config)
    with pytest.raises(Preempted, match=r"stopped after epoch 5 .*--resume"):
        fitted(config, folder=tmp_path, **stop_after(5))
    told = []
    again, resumed = fitted(
        config, folder=tmp_path, resume=True, progress=lambda *note: told.append(note)
    )
    assert told[0][0] == 6
    assert same(whole, again)
    assert resumed == history


def test_resumed_with_a_fresh_optimiser_would_differ(tmp_path):
    """Negative control: the optimiser's memory matters for the equality above."""
    with pytest.raises(Preempted):
        fitted(folder=tmp_path, **stop_after(5))
    arrays, note = load_arrays(tmp_path / CHECKPOINT)
    zeroed = {k: 0 * v if "exp_avg" in k else v for k, v in arrays.items()}
    save_arrays(tmp_path / CHECKPOINT, zeroed, note)
    assert not same(fitted()[0], fitted(folder=tmp_path, resume=True)[0])


def test_killed_and_resumed_equals_uninterrupted(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        CASE
        + "import time\n"
        + "module = seeded(0, 'net', 0, lambda: build_module(3, (16, 16), 2))\n"
        + f"run = FitRun(Path({str(tmp_path / 'ck')!r}), checkpoint_seconds=0.0,"
        + " progress=lambda *_: time.sleep(0.05))\n"
        + "config = TrainingConfig(epochs=12, batch_size=8, patience=100)\n"
        + "train(module, data(), loss, config, 0, run)\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    until = time.monotonic() + 120
    while epochs_saved(tmp_path / "ck") < 3:
        assert time.monotonic() < until
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert epochs_saved(tmp_path / "ck") < 12
    assert same(fitted(folder=tmp_path / "ck", resume=True)[0], fitted()[0])


def epochs_saved(folder):
    if not (folder / CHECKPOINT).exists():
        return 0
    return len(load_arrays(folder / CHECKPOINT)[1]["history"]["train"])


def test_finished_training_resumes_to_itself(tmp_path):
    whole, history = fitted(folder=tmp_path)
    told = []
    again, resumed = fitted(folder=tmp_path, resume=True, progress=lambda *n: told.append(n))
    assert same(whole, again)
    assert resumed == history
    assert told == []


def test_without_resume_an_old_checkpoint_is_not_used(tmp_path):
    with pytest.raises(Preempted):
        fitted(folder=tmp_path, seed=1, **stop_after(3))
    assert same(fitted(folder=tmp_path)[0], fitted()[0])


def test_best_weights_are_restored_and_patience_stops():
    noise = np.random.default_rng(1).standard_normal((20, 2))
    base = data()
    hopeless = Data(base.train_x, base.train_y, base.valid_x, 5 * noise)
    config = CONFIG.model_copy(update={"epochs": 200, "patience": 4, "learning_rate": 0.03})
    net, history = fitted(config, samples=hopeless)
    assert history.stopped_early
    assert len(history.valid) == history.best_epoch + 4
    assert history.valid[history.best_epoch - 1] == min(history.valid)
    reached = np.mean((net(base.valid_x) - 5 * noise) ** 2)
    assert reached == pytest.approx(history.best, rel=1e-5)
    assert history.valid[-1] > 1.001 * history.best


def test_loss_that_is_not_finite_is_an_error_and_keeps_the_last_good_state(tmp_path):
    seen = []

    def poisoned(predicted, target):
        return loss(predicted, target) * (float("nan") if len(seen) >= 3 else 1.0)

    with pytest.raises(RunFailed, match=r"diverged in epoch 4: .*not finite; lower learning_rate"):
        fitted(
            folder=tmp_path,
            checkpoint_seconds=0.0,
            criterion=poisoned,
            progress=lambda *_: seen.append(1),
        )
    arrays, note = load_arrays(tmp_path / CHECKPOINT)
    assert len(note["history"]["train"]) == 3
    assert all(np.isfinite(v).all() for v in arrays.values())
    assert note["step"] == 0
    assert same(fitted(folder=tmp_path, resume=True)[0], fitted()[0])


class _Bomb:
    """A pickle that leaves a file behind when it is opened."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def test_pickle_in_a_checkpoint_folder_is_never_opened(tmp_path):
    mark, run = tmp_path / "opened", tmp_path / "run"
    with pytest.raises(Preempted):
        fitted(folder=run, **stop_after(3))
    bomb = pickle.dumps(_Bomb(mark))
    for name in ("training.pt", "training.pkl", "optimizer.pt", "checkpoint.npy", "log.pkl"):
        (run / name).write_bytes(bomb)
    assert same(fitted(folder=run, resume=True)[0], fitted()[0])
    for name in (CHECKPOINT, PREVIOUS):
        (run / name).write_bytes(bomb)
    with pytest.raises(DataSchemaError, match="as safetensors"):
        fitted(folder=run, resume=True)
    assert not mark.exists()
    pickle.loads(bomb).close()  # negative control
    assert mark.exists()


@pytest.mark.parametrize("keep", [0, 100, 0.6])
def test_a_truncated_checkpoint_falls_back_to_the_one_before_else_is_one_line(
    tmp_path, keep, caplog
):
    with pytest.raises(Preempted):
        fitted(folder=tmp_path, checkpoint_seconds=0.0, **stop_after(3))

    def truncate(name):
        raw = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(raw[: keep if keep > 1 else int(keep * len(raw))])

    truncate(CHECKPOINT)
    assert same(fitted(folder=tmp_path, resume=True)[0], fitted()[0])
    assert "continuing from the one before" in caplog.text
    truncate(CHECKPOINT)
    truncate(PREVIOUS)
    with pytest.raises(DataSchemaError, match=r"cannot read .* as safetensors"):
        fitted(folder=tmp_path, resume=True)


def test_stopped_within_an_epoch_and_resumed_equals_uninterrupted(tmp_path):
    asked = []

    def third_step():
        asked.append(1)
        return len(asked) == 3

    with pytest.raises(Preempted, match=r"after epoch 0 and step 3 of 5 "):
        fitted(folder=tmp_path, should_stop=third_step)
    note = load_arrays(tmp_path / CHECKPOINT)[1]
    assert (note["step"], note["history"]["train"]) == (3, [])
    again, resumed = fitted(folder=tmp_path, resume=True)
    whole, history = fitted()
    assert same(whole, again)
    assert resumed == history


@pytest.mark.parametrize("extra", [{"ema": 0.9}, {"warmup": 2.5}, {"accumulation": 3}])
def test_every_option_resumes_bit_for_bit_at_every_step(tmp_path, extra):
    config = CONFIG.model_copy(update={"epochs": 2, **extra})
    whole, history = fitted(config)
    assert not same(whole, fitted(CONFIG.model_copy(update={"epochs": 2}))[0])
    for k in range(12):
        asked = []

        def stop(k=k, asked=asked):
            asked.append(1)
            return len(asked) > k

        with pytest.raises(Preempted):
            fitted(config, folder=tmp_path / str(k), should_stop=stop)
        again, resumed = fitted(config, folder=tmp_path / str(k), resume=True)
        assert same(whole, again)
        assert resumed == history


def test_after_divergence_a_lower_rate_goes_on_from_the_last_good_state(tmp_path, caplog):
    with pytest.raises(Preempted):
        fitted(folder=tmp_path, **stop_after(3))
    lower = CONFIG.model_copy(update={"learning_rate": 1e-3})
    _, history = fitted(lower, folder=tmp_path, resume=True)
    assert history.train[:3] == fitted()[1].train[:3]
    assert history.train[4:] != fitted()[1].train[4:]
    assert "continuing with learning_rate = 0.001, was 0.003" in caplog.text


def test_out_of_memory_ends_with_advice_and_keeps_the_state(tmp_path):
    import torch

    seen = []

    def greedy(predicted, target):
        if len(seen) >= 3:
            torch.empty(2**46)  # the allocator's own error
        return loss(predicted, target)

    with pytest.raises(RunFailed, match=r"out of memory with 8 samples .*raise accumulation"):
        fitted(folder=tmp_path, criterion=greedy, progress=lambda *_: seen.append(1))
    assert epochs_saved(tmp_path) == 3
    more = CONFIG.model_copy(update={"accumulation": 2})
    _, history = fitted(more, folder=tmp_path, resume=True)
    np.testing.assert_allclose(history.train, fitted()[1].train, rtol=1e-5)


def test_other_errors_of_the_network_keep_their_traceback():
    def wrong(predicted, target):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        fitted(criterion=wrong)


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"config": CONFIG.model_copy(update={"epochs": 13})}, {"samples": 1}]
)
def test_checkpoint_of_another_training_is_refused(tmp_path, other):
    with pytest.raises(Preempted):
        fitted(folder=tmp_path, **stop_after(3))
    if "samples" in other:
        d = data()
        other = {"samples": Data(1.1 * d.train_x, d.train_y, d.valid_x, d.valid_y)}
    with pytest.raises(ConfigError, match=r"belongs to another configuration, seed or data set"):
        fitted(folder=tmp_path, resume=True, **other)


def test_global_random_states_are_untouched():
    import torch

    before, old = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fitted()
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(old, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "meta"])
def test_absent_device_is_an_error(name):
    with pytest.raises(ConfigError, match=r"device|--device must be"):
        find_device(name)


def test_splits_share_no_sample_and_cover_all():
    for n in (3, 10, 97):
        split = Split.of(n, 5)
        rows = np.concatenate([split.train, split.valid, split.test])
        assert sorted(rows) == list(range(n))
    assert not np.array_equal(Split.of(97, 5).train, Split.of(97, 6).train)
    assert Split.of(100, 0).sizes == {"train": 80, "valid": 10, "test": 10}
