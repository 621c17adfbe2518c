"""Faults of streams, locale, memory and sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from .fault import Fault, Place, Surroundings, names, with_limits

__all__ = ["FAULTS"]

DONE, FAILED, REFUSED, NO_READER = (frozenset({code}) for code in (0, 1, 2, 141))
SEED = 2**64
SIZE = (r"would take at least .* [GT]B",)
DEVICE = Path("/dev/full")

SEEDED = names(
    "solve", "solve --vtk", "observe", "generate", "train-surrogate latent", "train-surrogate gp",
    "evaluate", "invert laplace", "invert pcn", "check",
)  # fmt: skip
WORKING = names("generate", "generate --workers 2", "invert pcn", "invert --workers 2")


def _so(around: Surroundings) -> Callable[[Place], AbstractContextManager[Surroundings]]:
    """Surroundings that need no making."""

    @contextmanager
    def made(_: Place) -> Iterator[Surroundings]:
        yield around

    return made


def _shell(line: str) -> Callable[[Place], AbstractContextManager[Surroundings]]:
    """A shell that starts the command "$@"."""
    return _so(Surroundings(under=("bash", "-c", line, "bash")))


def _with(*words: str) -> Callable[[Place], AbstractContextManager[Surroundings]]:
    """More words on the command line."""
    return _so(Surroundings(more=words))


def _env(**variables: str) -> Callable[[Place], AbstractContextManager[Surroundings]]:
    return _so(Surroundings(env=variables))


_ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
_NOTEBOOK = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}

FAULTS: tuple[Fault, ...] = (
    Fault("stdout closed", "process", _shell('exec "$@" >&-'), DONE),
    Fault("both closed", "process", _shell('exec "$@" >&- 2>&-'), DONE),
    Fault(
        "stdout full", "process", _so(Surroundings(stdout=DEVICE)), FAILED,
        (r"stdout could not be written",), again=False,
    ),
    Fault(
        "stderr full", "process", _so(Surroundings(stderr=DEVICE)), DONE, shown=False,
    ),
    Fault(
        "no reader", "process", _shell('exec "$@" > >(exec true)'), NO_READER,
        shown=False, again=False,
    ),
    Fault("ASCII", "process", _env(**_ASCII), DONE),
    Fault("latin-1", "process", _env(PYTHONIOENCODING="latin-1"), DONE),
    Fault("MPLBACKEND", "process", _env(**_NOTEBOOK), DONE, on=names("plot", "evaluate")),
    Fault(
        "600 MB of addresses", "process", _so(Surroundings(under=with_limits("-v 600000"))),
        frozenset({0, 1}), (r"out of memory", r"memory"),
    ),
    Fault("seed of 65 bits", "process", _with("--seed", str(SEED)), REFUSED, (str(SEED - 1),),
          SEEDED),
    Fault("level 40", "process", _with("--level", "40"), REFUSED, SIZE, names("solve", "check")),
    Fault("10^12 samples", "process", _with("--n", str(10**12)), REFUSED, SIZE,
          names("generate", "generate --workers 2", "evaluate")),
    Fault("10^5 workers", "process", _with("--workers", "100000"), REFUSED, SIZE, WORKING),
    Fault("10^10 draws", "process", _with("--draws", str(10**10)), REFUSED, SIZE,
          names("invert pcn", "invert --workers 2")),
)  # fmt: skip
