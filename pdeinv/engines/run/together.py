"""Several chains in one process, whose solves are made together where the model takes rows.

Each chain is a generator of requests. In a round every chain goes on, alone, until it asks for what
may be shared; then all that was asked for is answered, one call for each kind and level. A chain
thus waits for the solves of a round and never for the end of another one's step, and one that asks
a model without rows runs through to its end while the others wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.answers import answer_rows, groups, shareable
from pdeinv.engines.base import Engine
from pdeinv.engines.progress import Progress
from pdeinv.engines.requests import Curvature, Request, advance, answered
from pdeinv.engines.run.chain import Enough, LiveChain, never
from pdeinv.engines.run.clock import Seconds
from pdeinv.engines.run.spec import Run

__all__ = ["run_chains"]

type Asking = tuple[LiveChain, Request]


def run_chains(
    engine: Engine[Any],
    posterior: Posterior,
    spec: Run,
    ks: Iterable[int],
    progress: Progress,
    enough: Enough = never,
) -> None:
    """Advance the chains ``ks`` to their ends, a stop or their budgets, and leave them saved.

    So they are where ``enough`` says so, but for those that still look for their start: these
    begin anew.

    Where one fails the others are saved before its error is raised.

    Raises:
        PdeinvError: what a chain raises.
    """
    chains = [LiveChain(engine, posterior, spec, k, progress, enough) for k in ks]
    failures = list[Exception]()
    while chains:
        chains = [chain for chain in chains if _waits(posterior, chain, chains, failures)]
        _answer(posterior, chains)
    if failures:
        raise failures[0]


def _waits(
    posterior: Posterior,
    chain: LiveChain,
    chains: Sequence[LiveChain],
    failures: list[Exception],
) -> bool:
    """Whether the chain, after it went on as far as it can alone, waits for an answer.

    After a failure those that have a state save it and end; the others are left as they are.
    """
    if failures and not chain.begun:
        return False
    try:
        if chain.asks is None:
            chain.asks = _to_shared(posterior, chain, alone=len(chains) == 1)
    except Exception as error:
        failures.append(error)
        for other in chains:
            other.told_to_stop = True
    return chain.asks is not None


def _to_shared(posterior: Posterior, chain: LiveChain, alone: bool) -> Request | None:
    """What the chain asks for that may be shared, after all that is not; None where it ended."""
    clock = chain.clock
    posterior.charge(chain.counters)
    clock.start()
    try:
        while True:
            request = advance(chain.steps, chain.found)
            if not alone and shareable(posterior, request):
                return request
            chain.found = answered(posterior, request)
    except StopIteration:
        return None
    finally:
        clock.stop()


def _answer(posterior: Posterior, chains: Sequence[LiveChain]) -> None:
    """The requests whose turn it is, one call for each kind."""
    asking = _in_turn([(chain, chain.asks) for chain in chains if chain.asks is not None])
    for members in groups([request for _, request in asking]):
        began, some = Seconds.now(), [asking[i] for i in members]
        payers = [chain.counters for chain, _ in some]
        found = answer_rows(posterior, [request for _, request in some], payers)
        took, rows = Seconds.now() - began, [max(1, request.rows) for _, request in some]
        for (chain, _), value, n in zip(some, found, rows, strict=True):
            chain.asks, chain.found = None, value
            chain.clock.add(took / (sum(rows) / n))


def _in_turn(asking: Sequence[Asking]) -> Sequence[Asking]:
    """Those that are answered now; the others wait, so that more are answered in one call.

    Chains that have begun wait for those that still look for their start. These ask now for
    products with Hessians, hundreds in a row, now for gradients, and the fewer wait for the more.

    Chains ask the coarse model a different number of times between two fine solves. Those that
    come first wait, so that the fine solves, which cost most, are made for all chains at once.
    """
    starting = [one for one in asking if not one[0].begun]
    now = starting or asking
    now = [one for one in now if one[1].level == "coarse"] or now
    products = [one for one in now if isinstance(one[1], Curvature)]
    others = [one for one in now if not isinstance(one[1], Curvature)]
    return products if len(products) >= len(others) else others
