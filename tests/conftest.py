"""What tests of every kind share."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pdeinv.executors import pools, single_threaded

# As `make test` has it, before numpy is loaded: equal bits are claimed for one number of threads,
# and processes that tests start have one.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


class _Here(Executor):
    """Runs each task when it is submitted, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def _no_processes(_: int) -> Iterator[Executor]:
    with single_threaded():
        yield _Here()


@pytest.fixture(scope="module")
def solves_here() -> Iterator[None]:
    """Data sets are made by this process, in a module whose claims are not about processes.

    A worker takes seconds to load its libraries. That it makes the same numbers is claimed by
    ``tests/robustness/test_generate.py`` and ``test_executors.py``.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "process_pool", _no_processes)
        yield


@pytest.fixture
def solves_here_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for one test."""
    monkeypatch.setattr(pools, "process_pool", _no_processes)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what ``.ci/run`` did before the tests and how long it took, ahead of the summary."""
    times = Path(os.environ.get("CI_TIMES", ""))
    if times.is_file():
        terminalreporter.section("time of the parts before")
        terminalreporter.write_line(times.read_text().rstrip())
