"""Several chains of one instance: each is what it is alone, however their requests are answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.answers import answer_rows, groups, shareable
from pdeinv.engines.base import Engine
from pdeinv.engines.requests import Request, Steps, advance, answered
from pdeinv.rng import stream

from .clauses import Table
from .engine_case import PROTOCOL, STEPS, Case, Walk
from .engine_steps import equal_walks

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)

N = 3
"""Chains."""


def _whole(engine: Engine[Any], on: Posterior, k: int) -> Steps[list[Any]]:
    """The first states of chain ``k`` as one generator."""
    rng = stream(0, "chain", k)
    states = [(yield from engine.init(on, rng))]
    while len(states) <= min(STEPS, engine.n_steps) and not engine.finished(states[-1]):
        states.append((yield from engine.step(on, states[-1], rng)))
    return states


def _in_turn(on: Posterior, chains: list[Steps[list[Any]]]) -> Iterator[tuple[int, list[Any]]]:
    """The states of chains of which one request each is answered in turn."""
    waiting: dict[int, Any] = dict.fromkeys(range(len(chains)))
    while waiting:
        for k, value in list(waiting.items()):
            try:
                waiting[k] = answered(on, advance(chains[k], value))
            except StopIteration as end:
                del waiting[k]
                yield k, end.value


def _in_rounds(on: Posterior, chains: list[Steps[list[Any]]]) -> Iterator[tuple[int, list[Any]]]:
    """The states of chains whose requests are all gathered before one is answered."""
    waiting: dict[int, Any] = dict.fromkeys(range(len(chains)))
    while waiting:
        asked = dict[int, Request]()
        for k, value in waiting.items():
            try:
                asked[k] = advance(chains[k], value)
            except StopIteration as end:
                yield k, end.value
        waiting = dict(zip(asked, _round(on, list(asked.values())), strict=True))


def _round(on: Posterior, requests: Sequence[Request]) -> list[Any]:
    """Answers to all, in rows where the model takes rows."""
    found: list[Any] = [None] * len(requests)
    for members in groups(requests):
        same = [requests[i] for i in members]
        rows = shareable(on, same[0])
        payers = [on.counters] * len(same)
        values = answer_rows(on, same, payers) if rows else [answered(on, r) for r in same]
        for i, value in zip(members, values, strict=True):
            found[i] = value
    return found


def _chains(case: Case) -> list[Steps[list[Any]]]:
    engine = case.engine()
    return [_whole(engine, case.on, k) for k in range(N)]


@CLAUSES.clause(
    "interleaved", "chains of one instance whose requests are answered in turn are those of chains "
    "that run one after another", needs=("stream-only", "asks"), where="pdeinv.engines.requests",
)  # fmt: skip
def interleaved(case: Case) -> None:
    for k, states in _in_turn(case.on, _chains(case)):
        equal_walks(Walk(states, [], stream(0, "x")), case.walk(k), f"chain {k}")


@CLAUSES.clause(
    "gathered", "so are those of chains whose requests are gathered and answered in one call of "
    "rows", needs=("interleaved",), where="pdeinv.engines.answers",
)  # fmt: skip
def gathered(case: Case) -> None:
    for k, states in _in_rounds(case.on, _chains(case)):
        equal_walks(Walk(states, [], stream(0, "x")), case.walk(k), f"chain {k}")
