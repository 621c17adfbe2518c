"""Every clause of the kit for engines finds the violation that is planted for it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from mutants import Mutants
from toy_engine import ToyEngine, ToyState, WalkConfig

from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.engines.requests import Linearize, Misfit, Steps
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.model.forward import Capability
from pdeinv.model.learned import Role
from pdeinv.plugins.conformance import check_engine
from pdeinv.plugins.conformance.engine_kit import CLAUSES
from pdeinv.typing import Array

mutant = MUTANTS = Mutants(ToyEngine, WalkConfig, CLAUSES)
LATE = "exact"
"""What takes longest is left out where it is not what is looked for."""


@mutant("summary")
class Mute(ToyEngine):
    pass


@mutant("produces")
class Boasting(ToyEngine):
    """Promises."""

    produces = "truth"


@mutant("requires")
class Listing(ToyEngine):
    """A list where a frozenset belongs."""

    requires = [Capability.JVP]


@mutant("built")
class Idle(ToyEngine):
    """No step at all."""

    n_steps = 0


@mutant("travels")
class Rooted(ToyEngine):
    """Holds what cannot be sent."""

    def __init__(self, config):
        super().__init__(config)
        self.helper = lambda x: x


@mutant("takes")
class Greedy(ToyEngine):
    """Takes any density and reads the noise."""

    takes = LikelihoodKind.DENSITY

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        assert posterior.noise.size
        return (yield from super().step(posterior, state, rng))


@mutant("uses")
class Deaf(ToyEngine):
    """Says that it begins at an estimate, and does not."""

    uses = frozenset({Role.INVERSE})


@mutant("law")
class Gaussian(ToyEngine):
    """Says that it takes the law of xi from a denoiser, and does not."""

    uses = frozenset({Role.DENOISER})


@mutant("refuses")
class Demure(ToyEngine):
    """Does not say that it needs derivatives."""

    def init(self, posterior, rng) -> Steps[ToyState]:
        yield Linearize(np.zeros(posterior.dim))
        return (yield from super().init(posterior, rng))


@mutant("state-type")
class Unfrozen(ToyEngine):
    """A state that can be changed."""

    @dataclass
    class State:
        xi: Array
        misfit: float

    def init(self, posterior, rng) -> Steps[State]:
        return self.State(**vars((yield from super().init(posterior, rng))))


@dataclass(frozen=True)
class Loose(ToyState):
    note: str = "a text"


@mutant("state-plain")
class Talking(ToyEngine):
    """A text in the state."""

    def init(self, posterior, rng) -> Steps[Loose]:
        return Loose(**vars((yield from super().init(posterior, rng))))


@mutant("asks")
class Solving(ToyEngine):
    """Solves by itself."""

    def init(self, posterior, rng) -> Steps[ToyState]:
        yield from ()
        xi = rng.standard_normal(posterior.dim)
        return ToyState(xi, float(posterior.misfit(xi)))


@mutant("step-pure")
class Overwriting(ToyEngine):
    """Changes the array of the old state."""

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        found = yield from super().step(posterior, state, rng)
        state.xi[:] = found.xi
        return replace(found, xi=state.xi)


@mutant("stream-only")
class Global(ToyEngine):
    """Draws from numpy's own generator."""

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        own = np.random.default_rng(np.random.randint(1 << 30))  # noqa: NPY002
        return (yield from super().step(posterior, state, own))


@mutant("no-memory")
class Adapting(ToyEngine):
    """Counts its steps on itself."""

    count = 0

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        self.count += 1
        found = yield from super().step(posterior, state, rng)
        return replace(found, xi=found.xi + 1e-9 * self.count)


@mutant("records")
class Changing(ToyEngine):
    """Other names each time."""

    def record(self, state, step):
        found = super().record(state, step)
        return found and {**found, f"step{step}": step}


@mutant("finished")
class Vague(ToyEngine):
    """Says 0 where it means no."""

    def finished(self, state):
        return 0


class Half(np.ndarray):
    """An array that a file does not give back as it was."""


@dataclass(frozen=True)
class Seen(ToyState):
    shown: Array


@mutant("checkpoint")
class Hidden(ToyEngine):
    """A state whose array is an array of objects."""

    def init(self, posterior, rng) -> Steps[Seen]:
        state = yield from super().init(posterior, rng)
        return Seen(state.xi, state.misfit, np.array([object()], dtype=object))


@mutant("resumed")
class Tagged(ToyEngine):
    """Knows by identity the state that it made last."""

    made: Any = None

    def init(self, posterior, rng) -> Steps[ToyState]:
        self.made = yield from super().init(posterior, rng)
        return self.made

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        found = yield from super().step(posterior, state, rng)
        self.made = replace(found, xi=found.xi + (1e-9 if state is not self.made else 0.0))
        return self.made


@mutant("driver")
class Watching(ToyEngine):
    """Does something else where the driver counts solves of its own."""

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        found = yield from super().step(posterior, state, rng)
        return replace(found, xi=found.xi + 1e-9 * (posterior.counters.n_forward % 1000 < 7))


@mutant("interleaved")
class Sharing(ToyEngine):
    """Keeps the running step on itself."""

    now: Any = None

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        self.now = state
        steps = super().step(posterior, state, rng)
        found = yield from steps
        return found if self.now is state else replace(found, xi=found.xi + 1e-9)


@mutant("gathered")
class Buffered(ToyEngine):
    """Asks in one array, which the next chain overwrites."""

    def __init__(self, config):
        super().__init__(config)
        self.buffer = None

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        steps = super().step(posterior, state, rng)
        request = next(steps)
        if self.buffer is None:
            self.buffer = request.xi.copy()
        self.buffer[:] = request.xi
        misfit = yield replace(request, xi=self.buffer)
        try:
            steps.send(misfit)
        except StopIteration as end:
            return end.value
        raise AssertionError("the toy asks once")


def with_outcome(clause, change):
    """The toy with a changed outcome."""

    class Changed(ToyEngine):
        """Hands back something else."""

        def finalize(self, posterior, chains, rng):
            return change(super().finalize(posterior, chains, rng))

    MUTANTS[clause] = Changed


with_outcome("outcome", lambda o: replace(o, xi=o.xi[0]))
with_outcome("statistics", lambda o: replace(o, stats={}))
with_outcome("words", lambda o: replace(o, message="all draws\ndone"))
with_outcome("misfits", lambda o: replace(o, stats={"misfit": 2 * o.stats["misfit"]}))


@mutant("finalize-pure")
class Sorting(ToyEngine):
    """Sorts the records where they are."""

    def finalize(self, posterior, chains, rng):
        found = super().finalize(posterior, chains, rng)
        for chain in chains:
            chain.records["misfit"].sort()
        return found


@mutant("cut-short")
class Hopeful(ToyEngine):
    """Does not think of a budget."""

    def finalize(self, posterior, chains, rng):
        assert all(len(c.records["xi"]) for c in chains)
        return super().finalize(posterior, chains, rng)


@mutant("failed-solves")
class Trusting(ToyEngine):
    """Does not think of solves that fail."""

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        points = rng.standard_normal((20, posterior.dim))
        if not np.isfinite((yield Misfit(points))).all():
            raise KeyError("no misfit")
        return (yield from super().step(posterior, state, rng))


@mutant("failed-derivatives")
class Steep(ToyEngine):
    """Does not think of derivatives that fail."""

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        try:
            for xi in rng.standard_normal((20, posterior.dim)):
                yield Linearize(xi)
        except SolverDiverged as error:
            if "solve" not in str(error):
                raise KeyError("no gradient") from error
        return (yield from super().step(posterior, state, rng))


@mutant("one-unknown")
class Plural(ToyEngine):
    """Needs two unknowns."""

    def init(self, posterior, rng) -> Steps[ToyState]:
        if posterior.dim < 2:
            raise RunFailed("two unknowns are needed")
        return (yield from super().init(posterior, rng))


@mutant("exact")
class Narrow(ToyEngine):
    """Accepts by a misfit that is twice as large."""

    def step(self, posterior, state, rng) -> Steps[ToyState]:
        beta = self.config.beta
        xi = np.sqrt(1 - beta**2) * state.xi + beta * rng.standard_normal(posterior.dim)
        misfit = float((yield Misfit(xi)))
        if np.log(rng.random()) < 4 * (state.misfit - misfit):
            return replace(state, xi=xi, misfit=misfit)
        return state


Mute.__doc__ = None


def test_the_toy_keeps_every_clause():
    report = check_engine(ToyEngine)
    report.raise_for_failures()
    assert {f.clause for f in report.findings} == set(CLAUSES.clauses)
    assert all(f.ok for f in report.findings)


def test_every_clause_has_its_mutant():
    assert set(MUTANTS) == set(CLAUSES.clauses)


@pytest.mark.slow
@pytest.mark.parametrize("clause", MUTANTS)
def test_the_planted_violation_is_found(clause):
    options = MUTANTS.options(clause)
    without = () if clause == LATE else (LATE,)
    report = check_engine(MUTANTS[clause], options, long=options, without=without)
    MUTANTS.assert_found(clause, report, most=6)
