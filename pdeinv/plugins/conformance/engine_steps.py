"""Steps: pure functions of state and stream, whose state survives anything."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from copy import deepcopy
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.engines.ended import Ended
from pdeinv.engines.requests import drive
from pdeinv.engines.run.chain import state_type
from pdeinv.engines.run.checkpoint import ChainStore, Saved
from pdeinv.engines.run.clock import Seconds
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.rng import stream
from pdeinv.typing import Array

from .clauses import Broken, Table, hold, other_global_random
from .engine_case import PROTOCOL, STEPS, Case, Walk, same

__all__ = ["CLAUSES", "equal_walks"]

CLAUSES: Table[Case] = Table(PROTOCOL)


@CLAUSES.clause(
    "state-type", "`init` is annotated `-> Steps[State]` with State a frozen dataclass",
    needs=("built",),
)  # fmt: skip
def state_type_(case: Case) -> None:
    kind = state_type(case.engine())
    hold(is_dataclass(kind), f"{kind.__name__} is no dataclass")
    frozen: Any = kind
    hold(frozen.__dataclass_params__.frozen, f"{kind.__name__} is not frozen")


def _plain(state: Any, kind: Any, path: str = "state") -> None:
    """Arrays, numbers, ends and further dataclasses of these, as annotated."""
    if is_dataclass(kind):
        hold(type(state) is kind, f"{path} is {type(state).__name__}, annotated {kind}")
        hints = get_type_hints(kind)
        for f in fields(kind):
            _plain(getattr(state, f.name), hints[f.name], f"{path}.{f.name}")
    elif kind in (Array, np.ndarray):
        hold(isinstance(state, np.ndarray), f"{path} is {type(state).__name__}, not an array")
    else:
        hold(
            kind in {int, float, bool, Ended},
            f"{path} is annotated {kind}; expected an array, int, float, bool or Ended",
        )
        hold(isinstance(state, kind), f"{path} is {type(state).__name__}, annotated {kind}")


@CLAUSES.clause(
    "state-plain", "states hold arrays, numbers, Ended and such dataclasses, of the annotated "
    "types",
    needs=("state-type",),
)  # fmt: skip
def state_plain(case: Case) -> None:
    kind = state_type(case.engine())
    for state in case.walk().states:
        _plain(state, kind)


def _told(*_: Any) -> Any:
    raise Broken("init or step solves by itself; it has to yield a request")


class _Watched(Posterior):
    """A posterior that nobody may solve."""


for _name in (
    "predict",
    "misfit",
    "neg_log_posterior",
    "linearize",
    "linearize_rows",
    "predict_rows",
):
    setattr(_Watched, _name, _told)


@CLAUSES.clause(
    "asks", "`init` and `step` are generators that yield requests and never solve by themselves",
    needs=("state-type",), where="pdeinv.engines.requests",
)  # fmt: skip
def asks(case: Case) -> None:
    engine, rng = case.engine(), stream(0, "chain")
    watched = _Watched(**{f.name: getattr(case.on, f.name) for f in fields(case.on)})
    steps = engine.init(watched, rng)
    hold(isinstance(steps, Generator), f"init gives {type(steps).__name__}, no generator")
    state = drive(case.on, steps)
    for _ in range(min(STEPS, engine.n_steps)):
        if engine.finished(state):
            break
        steps = engine.step(watched, state, rng)
        hold(isinstance(steps, Generator), f"step gives {type(steps).__name__}, no generator")
        state = drive(case.on, steps)


@CLAUSES.clause(
    "step-pure", "a step makes a new state and leaves the old one as it was", needs=("state-plain",)
)
def step_pure(case: Case) -> str | None:
    engine, rng = case.engine(), stream(1, "chain")
    state = drive(case.on, engine.init(case.on, rng))
    for _ in range(min(STEPS, engine.n_steps)):
        if engine.finished(state):
            return None
        kept = deepcopy(state)
        after = drive(case.on, engine.step(case.on, state, rng))
        hold(same(state, kept), "a step changes the state that it is given")
        state = after
    return None


def equal_walks(a: Walk, b: Walk, what: str) -> None:
    """Hold two walks to the same states, bit for bit; ``what`` names the first.

    Raises:
        Broken: they differ.
    """
    hold(len(a.states) == len(b.states), f"{what}: {len(a.states)} and {len(b.states)} states")
    for i, pair in enumerate(zip(a.states, b.states, strict=True)):
        hold(same(*pair), f"{what}: state {i} differs")


@CLAUSES.clause(
    "stream-only", "states depend on the stream that is passed in and on nothing else that is "
    "random",
    needs=("state-plain",),
)  # fmt: skip
def stream_only(case: Case) -> None:
    first = case.walk()
    with other_global_random():
        second = case.walk()
    equal_walks(first, second, "the same stream twice")


@CLAUSES.clause(
    "no-memory", "an instance remembers nothing: what chains need is in their states",
    needs=("stream-only",),
)  # fmt: skip
def no_memory(case: Case) -> None:
    engine = case.engine()
    case.walk(1, engine=engine)
    equal_walks(case.walk(0, engine=engine), case.walk(0), "an instance that has run another chain")


@CLAUSES.clause(
    "records", "records have the same names and shapes each time", needs=("state-plain",)
)
def records(case: Case) -> str | None:
    engine = case.engine()
    found = case.walk(0, engine.n_steps, engine).records
    kinds = {tuple((k, np.shape(v)) for k, v in r.items()) for r in found}
    hold(len(kinds) <= 1, f"they are {sorted(map(str, kinds))[:2]}")
    return None if found else "there are none"


@CLAUSES.clause("finished", "`finished(state)` is a bool", needs=("state-plain",))
def finished(case: Case) -> None:
    engine = case.engine()
    found = {type(engine.finished(s)).__name__ for s in case.walk().states}
    hold(found <= {"bool", "bool_"}, f"it is {sorted(found)}")


@CLAUSES.clause(
    "checkpoint", "a state is the same, bit for bit, after a checkpoint",
    needs=("state-plain", "records"), where="pdeinv.engines.run.checkpoint",
)  # fmt: skip
def checkpoint(case: Case) -> None:
    walk, kind = case.walk(), state_type(case.engine())
    with tempfile.TemporaryDirectory() as folder:
        store = ChainStore(Path(folder), 0)
        store.save(
            Saved(walk.states[-1], walk.rng, 1, 0, Counters(), Seconds(0.5, 0.25)), walk.records
        )
        back = store.load(kind)
        hold(back is not None and same(back.state, walk.states[-1]), "it changes")
        assert back is not None
        _plain(back.state, kind)
        lengths = {len(v) for v in store.records(back.n_chunks).values()}
    hold(lengths <= {len(walk.records)}, f"{len(walk.records)} records become {lengths}")


@CLAUSES.clause(
    "resumed", "a run that goes on from a checkpoint, in another process, gives the bits of one "
    "that was not interrupted", needs=("checkpoint", "no-memory"),
    where="pdeinv.engines.run.driver",
)  # fmt: skip
def resumed(case: Case) -> str | None:
    whole = case.walk()
    if len(whole.states) < 3:
        return "it ends after one step"
    cut = len(whole.states) // 2
    part = case.walk(most=cut)
    with tempfile.TemporaryDirectory() as folder:
        store = ChainStore(Path(folder), 0)
        store.save(
            Saved(part.states[-1], part.rng, cut, 0, Counters(), Seconds(0.5, 0.25)), part.records
        )
        back = store.load(state_type(case.engine()))
    assert back is not None
    engine, state, rng = case.engine(), back.state, back.rng
    for i in range(cut + 1, len(whole.states)):
        state = drive(case.on, engine.step(case.on, state, rng))
        hold(
            same(state, whole.states[i]), f"state {i} differs, {i - cut} steps after the checkpoint"
        )
    return None


@CLAUSES.clause(
    "driver", "the driver's chains are those of the same steps driven by hand",
    needs=("records", "stream-only"), where="pdeinv.engines.run.driver",
)  # fmt: skip
def driver(case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run(case.engine(), case.build, Run(0, Path(folder)))
        for k, chain in enumerate(case.chains):
            store = ChainStore(Path(folder), k)
            saved = store.load(state_type(case.engine()))
            hold(saved is not None and same(saved.state, chain.state), f"chain {k} ends elsewhere")
            assert saved is not None
            found = store.records(saved.n_chunks)
            good = found.keys() == chain.records.keys() and all(
                np.array_equal(found[n], chain.records[n], equal_nan=True) for n in found
            )
            hold(good, f"records of chain {k} differ")
