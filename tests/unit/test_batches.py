"""Minibatches from memory and from files, and normalisers in a streaming pass."""

import numpy as np
import pytest

from pdeinv.surrogates.training import minibatches
from pdeinv.surrogates.training.config import TrainingConfig
from pdeinv.surrogates.training.minibatches import Minibatches, Rows, is_lazy, moments, take
from pdeinv.surrogates.training.optimize import learning_rate

torch = pytest.importorskip("torch")


class File:
    """Rows that refuse an order other than their own, as file formats do; counts what is read."""

    def __init__(self, values):
        self.values, self.shape, self.asked = values, values.shape, []

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        rows = np.asarray(rows)
        assert (np.diff(rows) > 0).all()
        self.asked += rows.tolist()
        return self.values[rows]


@pytest.fixture
def values():
    return np.random.default_rng(0).standard_normal((23, 4, 5))


def test_what_is_lazy(values, tmp_path):
    values.tofile(tmp_path / "v")
    mapped = np.memmap(tmp_path / "v", dtype=np.float64, shape=values.shape, mode="r")
    assert [is_lazy(a) for a in (values, [1, 2], torch.ones(3))] == [False] * 3
    assert is_lazy(mapped)
    assert is_lazy(File(values))
    assert is_lazy(Rows((values,), np.arange(3), lambda v: v))


@pytest.mark.parametrize("rows", [[3, 1, 2], [5, 5, 0], []])
def test_rows_come_in_the_order_asked_for(values, rows):
    rows = np.array(rows, dtype=np.intp)
    np.testing.assert_array_equal(take(File(values), rows), values[rows])


def test_encoded_rows(values):
    kept = np.array([7, 2, 20])
    part = Rows((File(values),), kept, lambda v: 2 * v)
    assert part.shape == (3, 4, 5)
    np.testing.assert_array_equal(part[1:], 2 * values[kept[1:]])
    np.testing.assert_array_equal(part[np.array([2, 0])], 2 * values[[20, 7]])
    assert Rows((values,), kept, lambda v: v.sum(axis=2), (4,)).shape == (3, 4)


def test_streamed_minibatches_equal_those_from_memory(values):
    order = np.random.default_rng(1).permutation(23)
    lists = [order[i : i + 4] for i in range(0, 23, 4)]
    device, kind = torch.device("cpu"), torch.float32
    held = Minibatches(values, values[:, 0, :2], kind, device)
    read = Minibatches(File(values), File(values[:, 0, :2]), kind, device)
    assert (held.streams, read.streams) == (False, True)
    pairs = list(zip(held.each(lists), read.each(lists), strict=True))
    assert len(pairs) == 6
    for (x, y), (u, v) in pairs:
        assert torch.equal(x, u)
        assert torch.equal(y, v)
        assert u.dtype == kind
    assert read.waited > 0
    assert held.waited == 0


def test_a_reader_left_early_reads_no_further(values):
    source = File(values)
    read = Minibatches(source, source, torch.float32, torch.device("cpu"))
    pairs = read.each([np.array([k]) for k in range(23)])
    next(pairs)
    pairs.close()
    assert len(set(source.asked)) < 10


def test_an_error_of_the_reader_reaches_the_training(values):
    class Broken(File):
        def __getitem__(self, rows):
            raise OSError("disk gone")

    read = Minibatches(Broken(values), values, torch.float32, torch.device("cpu"))
    with pytest.raises(OSError, match="disk gone"):
        list(read.each([np.array([0])]))


@pytest.mark.parametrize("block", [1, 200, 2**26])
def test_streamed_moments_equal_those_of_memory(values, block, monkeypatch):
    monkeypatch.setattr(minibatches, "BLOCK_BYTES", block)
    source, rows = File(values * 3 + 100), np.arange(1, 23, 2)
    found, part = moments(source, rows, np.log), np.log(source.values[rows])
    assert source.asked == rows.tolist()  # training rows only, each once
    for got, expected in (
        (found.mean, part.mean(axis=0)),
        (found.std, part.std(axis=0)),
        (found.centre, part.mean()),
        (found.spread, part.std()),
        (found.peak, part.max()),
    ):
        if block == 2**26:
            np.testing.assert_array_equal(got, expected)  # one piece: the same bits
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_the_rate_rises_to_its_value_and_falls_to_zero():
    config = TrainingConfig(epochs=10, warmup=2, learning_rate=0.1)
    rates = [learning_rate(config, e / 4, 1 / 4) for e in range(40)]
    assert rates[0] == pytest.approx(0.1 / 8)
    assert rates[7] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(0.1)
    assert np.all(np.diff(rates[:8]) > 0)
    assert np.all(np.diff(rates[8:]) < 0)
    assert rates[-1] < 2e-3
    plain = TrainingConfig(epochs=10, learning_rate=0.1)
    assert learning_rate(plain, 0, 0.25) == 0.1
    assert learning_rate(plain, 5, 0.25) == pytest.approx(0.05)
