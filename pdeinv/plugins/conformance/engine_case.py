"""One engine under test: small options, a posterior, and chains that are driven by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.config import Config
from pdeinv.engines.base import Chain, Engine, Outcome
from pdeinv.engines.requests import drive
from pdeinv.model.learned import Estimate
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["PROTOCOL", "Case", "Walk", "example", "linear", "same", "told"]

PROTOCOL = "pdeinv.engines.base.Engine"
STEPS = 6


def example(n_m: int = 3) -> LinearGaussian:
    """A linear model with Gaussian prior, non-zero prior mean and full noise covariance."""
    return LinearGaussian.example(np.random.default_rng(7), n_m)


def linear(n_m: int = 3) -> Posterior:
    """Its posterior, with a coarse twin that is 2 % off."""
    case = example(n_m)
    return case.posterior(replace(case, matrix=1.02 * case.matrix))


def told(n_m: int = 3) -> Posterior:
    """The same with an estimate of a learned inverse."""
    return replace(linear(n_m), estimate=Estimate(np.full(n_m, 0.3), np.full(n_m, 0.5)))


def same(a: Any, b: Any) -> bool:
    """Whether two states hold the same bits."""
    if not is_dataclass(a):
        return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)
    return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


@dataclass(frozen=True)
class Walk:
    """The states of a chain from the first on, its records and the generator that it leaves."""

    states: list[Any]
    records: list[Mapping[str, Any]]
    rng: np.random.Generator


@dataclass(frozen=True)
class Case:
    """An engine's class with options.

    Attributes:
        kind: the class.
        config: an instance of its ``Config`` that ends after some steps.
        build: makes a posterior that it works on.
        registered: the name it is registered by; None where it is not.
        long: options of runs that are held against the exact posterior.
        seed: the root of its streams.
    """

    kind: Any
    config: Config
    build: Callable[[], Posterior] = linear
    registered: str | None = None
    long: Config | None = None
    seed: int = 0

    def engine(self) -> Engine[Any]:
        """A new instance."""
        return cast(Engine[Any], self.kind(self.config))

    @cached_property
    def on(self) -> Posterior:
        """The posterior that clauses share."""
        return self.build()

    def walk(self, k: int = 0, most: int = STEPS, engine: Engine[Any] | None = None) -> Walk:
        """The first steps of chain ``k``, of a new instance where none is given."""
        engine = engine or self.engine()
        rng = stream(self.seed, "chain", k)
        states, records = [drive(self.on, engine.init(self.on, rng))], list[Mapping[str, Any]]()
        while len(states) <= min(most, engine.n_steps) and not engine.finished(states[-1]):
            states.append(drive(self.on, engine.step(self.on, states[-1], rng)))
            record = engine.record(states[-1], len(states) - 1)
            records += [] if record is None else [record]
        return Walk(states, records, rng)

    def chain(self, k: int, most: int | None = None) -> Chain:
        """Chain ``k`` to its end, or to its first steps."""
        engine = self.engine()
        walk = self.walk(k, engine.n_steps if most is None else most, engine)
        names = walk.records[0] if walk.records else ()
        records = {n: np.stack([r[n] for r in walk.records]) for n in names}
        return Chain(walk.states[-1], records, Counters(), 1.0)

    @cached_property
    def chains(self) -> list[Chain]:
        """All chains, run to their ends."""
        return [self.chain(k) for k in range(self.engine().n_chains)]

    @cached_property
    def outcome(self) -> Outcome:
        """What the engine makes of them."""
        return self.engine().finalize(self.on, deepcopy(self.chains), stream(self.seed, "finalize"))

    def draws(self) -> Array:
        """All draws of the outcome, (n, dim), or (n, n_m) where it left the whitened unknown."""
        found = self.outcome.xi if self.outcome.m is None else self.outcome.m
        return found.reshape(-1, found.shape[-1])
