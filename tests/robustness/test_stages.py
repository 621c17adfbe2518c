"""Pools of the stages of a run: one set of processes where kept, prepared anew where asked."""

import os
import random
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest

from pdeinv.executors import kept_workers, process_pool
from pdeinv.executors.task import THREADS


def pids(pool, workers):
    """The processes that take part; each task is long enough for all of them to come by."""
    return set(pool.map(_pid, [0.05] * 4 * workers))


def _pid(seconds):
    import time

    time.sleep(seconds)
    return os.getpid()


_state = random.Random(0)


def _seed(seed):
    _state.seed(seed)


def _draw():
    return _state.random()


def stage(workers=1, seed=5, n=2):
    """A stage that seeds a generator in its worker and draws from it."""
    with process_pool(workers, _seed, (seed,)) as pool:
        return pids(pool, workers), [pool.submit(_draw).result() for _ in range(n)]


def expected(seed, n):
    rng = random.Random(seed)
    return [rng.random() for _ in range(n)]


def test_stages_share_processes_only_where_they_are_kept():
    with kept_workers(2):
        first, again = stage(2)[0], stage(2)[0]
        fewer = stage(1)[0]
    other, more = stage(1)[0], stage(1)[0]
    assert first == again
    assert fewer <= first
    assert not other & more
    assert not first & other


def test_a_worker_is_prepared_once_for_what_it_is_asked_for():
    with kept_workers(1):
        assert stage(seed=5)[1] == expected(5, 2)
        assert stage(seed=5)[1] == expected(5, 4)[2:]  # still there, and has gone on
        assert stage(seed=6)[1] == expected(6, 2)
        assert stage(seed=5)[1] == expected(5, 2)
    assert stage(seed=5)[1] == expected(5, 2)


def test_a_dead_worker_ends_its_stage_and_is_replaced_for_the_next():
    with kept_workers(1):
        before, _ = stage()
        with pytest.raises(BrokenProcessPool), process_pool(1) as pool:
            pool.submit(os._exit, 9).result()
        after, drawn = stage()
    assert drawn == expected(5, 2)
    assert not before & after


def test_what_fails_while_a_worker_is_prepared_is_told_and_the_worker_lives():
    with kept_workers(1):
        before, _ = stage()
        with (
            process_pool(1, int, ("no number",)) as pool,
            pytest.raises(ValueError, match="no num"),
        ):
            pool.submit(os.getpid).result()
        assert stage()[0] == before


def test_a_stage_waits_for_its_tasks():
    with kept_workers(1):
        with process_pool(1) as pool:
            slow = pool.submit(_pid, 0.5)
        assert slow.done()


def test_workers_use_one_thread_and_the_parent_keeps_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with kept_workers(1), process_pool(1) as pool:
        assert list(pool.map(os.getenv, THREADS)) == ["1"] * len(THREADS)
        assert os.environ["OMP_NUM_THREADS"] == "3"


def _reads_no_file():
    import pdeinv.plugins.recipe  # noqa: F401

    unread = "xarray.core.dataset" not in sys.modules
    import xarray as xr

    return unread, xr.Dataset({"a": 1})["a"].item()


def test_a_worker_loads_xarray_when_it_is_used():
    with process_pool(1) as pool:
        assert pool.submit(_reads_no_file).result() == (True, 1)
