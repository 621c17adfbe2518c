"""Several chains in one process, whose solves are made together where the model takes rows.

Each chain is a generator of requests. In a round every chain goes on, alone, until it asks for what
may be shared; then all that was asked for is answered, one call for each kind and level. A chain
thus waits for the slowest solve of a round and never for the end of another one's step, and one
that asks a model without rows runs through to its end while the others wait.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.answers import answer_rows, groups, shareable
from pdeinv.engines.base import Engine
from pdeinv.engines.progress import Progress
from pdeinv.engines.requests import Request, answer
from pdeinv.engines.run.chain import LiveChain
from pdeinv.engines.run.spec import Run
from pdeinv.errors import SolverDiverged

__all__ = ["run_chains"]


def run_chains(
    engine: Engine[Any], posterior: Posterior, spec: Run, ks: Iterable[int], progress: Progress
) -> None:
    """Advance the chains ``ks`` to their ends, a stop or their budgets, and leave them saved.

    Where one fails the others are saved before its error is raised.

    Raises:
        PdeinvError: what a chain raises.
    """
    chains = [LiveChain(engine, posterior, spec, k, progress) for k in ks]
    failures = list[Exception]()
    while chains:
        asked = list(_asked(posterior, chains, failures))
        _answer(posterior, asked)
        chains = [chain for chain, _ in asked]
    if failures:
        raise failures[0]


def _asked(
    posterior: Posterior, chains: Sequence[LiveChain], failures: list[Exception]
) -> Iterator[tuple[LiveChain, Request]]:
    """The chains that have not ended, each with what it asks for in this round.

    After a failure those that have a state save it and end; the others are left as they are.
    """
    for chain in chains:
        if failures and not chain.begun:
            continue
        try:
            request = _to_shared(posterior, chain, alone=len(chains) == 1)
        except Exception as error:
            failures.append(error)
            for other in chains:
                other.told_to_stop = True
        else:
            if request is not None:
                yield chain, request


def _to_shared(posterior: Posterior, chain: LiveChain, alone: bool) -> Request | None:
    """What the chain asks for that may be shared, after all that is not; None where it ended."""
    clock = chain.clock
    posterior.charge(chain.counters)
    clock.start()
    try:
        while True:
            request = _next(chain)
            if not alone and shareable(posterior, request):
                return request
            chain.found = _answered(posterior, request)
    except StopIteration:
        return None
    finally:
        clock.stop()


def _next(chain: LiveChain) -> Request:
    if isinstance(chain.found, SolverDiverged):
        return chain.steps.throw(chain.found)
    return chain.steps.send(chain.found)


def _answered(posterior: Posterior, request: Request) -> Any:
    """The answer, or the error to be raised in its place."""
    try:
        return answer(posterior, request)
    except SolverDiverged as error:
        return error


def _answer(posterior: Posterior, asked: Sequence[tuple[LiveChain, Request]]) -> None:
    """All requests of a round; the seconds of a call are shared by those who asked for it."""
    for members in groups([request for _, request in asked]):
        began, chains = time.monotonic(), [asked[i][0] for i in members]
        payers = [chain.counters for chain in chains]
        found = answer_rows(posterior, [asked[i][1] for i in members], payers)
        share = (time.monotonic() - began) / len(members)
        for chain, value in zip(chains, found, strict=True):
            chain.found = value
            chain.clock.add(share)
