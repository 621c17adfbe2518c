"""What an engine is: pure steps on an immutable state. The driver owns everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import xarray as xr

from pdeinv.bayes.jacobian import unwhitened
from pdeinv.bayes.likelihood import Likelihood, LikelihoodKind
from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.bayes.prior import Prior
from pdeinv.config import Config as BaseConfig
from pdeinv.engines.ended import Ended
from pdeinv.engines.requests import Steps
from pdeinv.errors import CapabilityError
from pdeinv.model.forward import Capability, require
from pdeinv.model.learned import Denoiser, Role
from pdeinv.model.strong_form import StrongForm
from pdeinv.typing import Array

__all__ = [
    "Chain",
    "Engine",
    "Need",
    "Outcome",
    "Produces",
    "check_begins",
    "check_law",
    "check_estimate",
    "check_posterior",
    "check_takes",
    "strong_form_of",
]

Produces = Literal["posterior", "approximate", "point"]
"""``posterior``: exact as the run grows; ``approximate``: a Gaussian or ensemble; ``point``."""


class Need(StrEnum):
    """What an engine needs of the posterior beyond capabilities of its model."""

    COARSE = "coarse"
    """A cheaper twin of the posterior (``posterior.coarse``), from a trained surrogate."""
    UNKNOWN = "unknown"
    """A model of the unknown m itself, past the prior's map: ``requires`` is asked of that one."""
    LINEAR = "linear"
    """Data that are affine in xi, which its first solves find out."""
    DENOISER_DERIVATIVE = "denoiser-derivative"
    """The derivative of the denoiser, where a learned one is given."""
    ESTIMATE = "estimate"
    """What a learned inverse says of these data (``posterior.estimate``), of ξ or of m itself."""


@dataclass(frozen=True)
class Chain:
    """One finished (or stopped) sequence of steps.

    Attributes:
        state: the engine's last state.
        records: what :meth:`Engine.record` returned, stacked along axis 0.
        counters: what the chain spent.
        seconds: its wall time, resumed parts included.
        cpu_seconds: the same of processors.
    """

    state: Any
    records: Mapping[str, Array]
    counters: Counters
    seconds: float
    cpu_seconds: float = 0.0

    def course(self, along: str) -> xr.Dataset:
        """The records as a group of the result file, one entry a step along that dimension."""
        return xr.Dataset({name: (along, values) for name, values in self.records.items()})


@dataclass(frozen=True)
class Outcome:
    """What an engine found, in whitened coordinates or, where it left them, in the unknown itself.

    Attributes:
        xi: draws, shape (chain, draw, dim); a point estimate is 1 x 1. Empty, (chain, draw, 0),
            where ``m`` is given.
        stats: arrays (chain, draw) by name for ``sample_stats``; ``misfit`` always.
        ended: how it ended, by the engine's own criterion; the driver tries besides whether the
            misfits are no larger than noise makes them (:mod:`pdeinv.bayes.fit`).
        message: one sentence on why it ended.
        summary: numbers for the terminal table and the result's attributes.
        groups: further groups for the result file (a spectrum, estimators, ...).
        independent_chains: False where chains share information, so that R-hat means nothing.
        m: draws of the unknown itself, shape (chain, draw, n_m), where they need not be the image
            of any xi; None where xi says it all.
        noise_factor: by how much the engine was told to take the noise for larger than it is.
        approximated: whether the misfits are those of an approximation that the draws come from, so
            that weighting the draws to the posterior says how good it is.
        further: draws (n, dim) of that approximation beside ``xi``, and the misfits (n,) that it
            gives them: weighted where those of ``xi`` are too few, at one solve each.
        missed: how it ended where the misfits are larger than noise makes them after all.
        note: a clause that follows the verdict, whatever that is; empty for none.
    """

    xi: Array
    stats: Mapping[str, Array]
    ended: Ended
    message: str
    summary: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, xr.Dataset] = field(default_factory=dict)
    independent_chains: bool = True
    m: Array | None = None
    noise_factor: float = 1.0
    approximated: bool = False
    further: tuple[Array, Array] | None = None
    missed: Ended = Ended.MISSED
    note: str = ""

    @property
    def converged(self) -> bool:
        """Whether the engine's own criterion was met."""
        return self.ended.converged

    def unknowns(self, prior: Prior, rows: slice = slice(None)) -> Array:
        """The unknown of those draws, shape (chain, rows, n_m)."""
        return prior.unwhiten(self.xi[:, rows]) if self.m is None else self.m[:, rows]


class Engine[S](Protocol):
    """An inversion method. ``Engine(config)`` builds it; the driver calls the rest.

    Subclass it and give ``name``, ``produces``, ``Config``, ``init``, ``step`` and ``finalize``;
    the rest has defaults. A class of its own with all of these members does as well.

    **What the driver does.** For each of ``n_chains`` chains it makes a random generator of its
    own and runs ``init``, then ``step`` until ``finished`` or ``n_steps``, a budget or a stop. It
    calls ``record`` after each step, keeps what that returns, saves state, generator and records
    now and then, and continues from there after an interruption as if there had been none. When
    all chains have ended it calls ``finalize`` once. Every member is therefore a pure function of
    its arguments: what an engine must remember belongs into the state.

    **The state** is a frozen dataclass that holds arrays, ints, floats, bools, :class:`Ended` and
    further such dataclasses, each annotated with its exact type, and is the state of ONE chain.
    Checkpoints need no code of the engine's own: ``init`` is annotated ``-> Steps[TheState]``, and
    a state is restored from that annotation. A member or property ``misfit`` (a number, or one per
    walker) is shown as progress, behind a text ``stage`` where there is one. A step makes a new
    state and leaves the old one as it was.

    **Solves are asked for.** ``init`` and ``step`` are generators: each ``yield`` of a request of
    :mod:`pdeinv.engines.requests` (:class:`Misfit`, :class:`Predict`, :class:`Linearize`,
    :class:`Jacobian`) gives back its answer, and what they ``return`` is the state. Requests are
    answered one after another, or together with those of other chains. They never call ``misfit``,
    ``predict`` or ``linearize`` of the posterior, of which they read ``dim``, ``n_data``,
    ``data``, ``likelihood``, ``noise``, ``prior``, ``estimate`` and ``model.capabilities``. A
    helper that solves is a generator too and is run by ``yield from``; one that never solves begins
    with ``yield from ()``. A failed solve has an infinite misfit and a prediction that is not
    finite; a failed linearization raises :class:`pdeinv.errors.SolverDiverged` at the ``yield``,
    where it can be caught. All are counted,
    and the driver ends a run in which most solves fail; failures of a ``trial`` count as none.
    :func:`pdeinv.engines.requests.drive` runs any such generator by hand.

    **Randomness** comes from the ``rng`` that is passed in and from nowhere else.

    **Errors** that a user can mend are subclasses of :class:`pdeinv.errors.PdeinvError`.
    """

    name: ClassVar[str]
    """As it is registered, in the entry-point group ``pdeinv.engines``."""
    produces: ClassVar[Produces]
    """What its draws claim to be."""
    requires: ClassVar[frozenset[Capability]] = frozenset()
    """What it cannot do without; checked before any solve."""
    needs: frozenset[Need] = frozenset()
    """What it needs besides; a class attribute that an engine may narrow by its options."""
    takes: ClassVar[LikelihoodKind] = LikelihoodKind.GAUSSIAN
    """What data it takes: of this kind or one before it. An engine that takes more than Gaussian
    noise reads ``likelihood`` of the posterior, never ``noise``."""
    uses: ClassVar[frozenset[Role]] = frozenset()
    """Roles of trained models that it makes use of where it is given one. With ``inverse`` it
    begins at ``estimate`` of the posterior, where that is not None; what it draws from or looks for
    stays the same. One that ``needs`` an estimate reports it, and takes those of m as well. With
    ``denoiser`` it takes the law of xi from ``denoiser`` of the posterior, where that is not None,
    and N(0, I) otherwise."""
    Config: ClassVar[type[BaseConfig]]
    """Its options, each with a default and a description."""

    def __init__(self, config: Any) -> None:
        self.config = config

    config: Any
    """The resolved configuration, an instance of ``Config``."""

    @property
    def n_chains(self) -> int:
        """How many independent chains to run; one."""
        return 1

    @property
    def n_steps(self) -> int:
        """The largest number of steps of one chain; the option ``max_iterations``."""
        return int(self.config.max_iterations)

    @property
    def simulations(self) -> Path | None:
        """A data set file that ``posterior.simulations`` is to hold; none."""
        return None

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[S]:
        """The state before the first step."""
        ...

    def step(self, posterior: Posterior, state: S, rng: np.random.Generator) -> Steps[S]:
        """The state after one more step."""
        ...

    def record(self, state: S, step: int) -> Mapping[str, Any] | None:
        """What to keep of the state after step number ``step`` (from 1); None, nothing.

        The same names with the same shapes each time.
        """
        return None

    def finished(self, state: S) -> bool:
        """Whether to stop before ``n_steps``; where the state's member ``ended`` says so."""
        return getattr(state, "ended", Ended.RUNNING) is not Ended.RUNNING

    def draws_kept(self, dim: int) -> int:
        """How many draws of ``dim`` unknowns the result holds, of all chains together.

        A run that could not hold them is refused before it begins.
        """
        return self.n_chains

    def expected(self, posterior: Posterior) -> Mapping[str, int]:
        """How often a whole run calls what, by name, where the engine knows; for ``--dry-run``.

        Names that are understood: ``denoiser`` and ``denoiser_derivative``, calls with ``rows``
        fields each; ``values``, ``gradients`` and ``jacobians``, solves for these.
        """
        return {}

    @property
    def most_steps(self) -> int:
        """``n_steps`` of the longest engine that :meth:`extended` leads to."""
        return self.n_steps

    def extended(self, outcome: Outcome) -> Self | None:
        """The engine with a larger ``n_steps``, where what it found asks for that.

        The driver goes on with it from where the chains are, and finalizes anew; None ends the run.
        A run that was stopped may have gone further than the engine that judges it here.
        """
        return None

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """Turn the chains into the result; solves made here are counted as the run's.

        Chains may have been cut short by a budget.

        Raises:
            RunFailed: there is nothing to report yet.
        """
        ...


def check_takes(engine: Engine[Any], likelihood: Likelihood) -> None:
    """Refuse data that the engine does not take.

    Raises:
        CapabilityError: their likelihood is of another kind.
    """
    if not engine.takes.covers(likelihood.kind):
        raise CapabilityError(
            f"engine '{engine.name}' takes data whose likelihood is of kind '{engine.takes}', and "
            f"these have one of kind '{likelihood.kind}'; 'pdeinv list engines' shows what each "
            "takes"
        )


def check_begins(engine: Engine[Any]) -> None:
    """Refuse a learned inverse that the engine would not begin with.

    Raises:
        CapabilityError: it makes no use of one.
    """
    if Role.INVERSE not in getattr(engine, "uses", frozenset()):
        raise CapabilityError(
            f"engine '{engine.name}' makes no use of a surrogate of role '{Role.INVERSE}'; "
            "'pdeinv list engines' shows which do, or leave --surrogate out"
        )


def check_law(engine: Engine[Any], denoiser: Denoiser) -> None:
    """Refuse a learned law of xi that the engine would not know of.

    Raises:
        CapabilityError: it makes no use of a denoiser, or needs the derivative of this one.
    """
    if Role.DENOISER not in getattr(engine, "uses", frozenset()):
        raise CapabilityError(
            f"engine '{engine.name}' makes no use of a surrogate of role '{Role.DENOISER}'; "
            "'pdeinv list engines' shows which do, or leave --surrogate out"
        )
    if Need.DENOISER_DERIVATIVE in engine.needs and not denoiser.differentiable:
        raise CapabilityError(
            f"engine '{engine.name}' needs the derivative of the denoiser, which this one has not; "
            "use pnp-dm or daps"
        )


def check_estimate(engine: Engine[Any], posterior: Posterior) -> None:
    """Refuse an estimate that the engine makes no use of, and its absence where it is needed.

    Raises:
        CapabilityError: either, or an estimate of the unknown where one of ξ is wanted.
    """
    needed, found = Need.ESTIMATE in engine.needs, posterior.estimate
    if found is None and needed:
        raise CapabilityError(
            f"engine '{engine.name}' reports what a trained inverse says of the data; pass "
            "--surrogate FOLDER of one ('pdeinv train-surrogate')"
        )
    if found is None:
        return
    check_begins(engine)
    if found.of != "xi" and not needed:
        raise CapabilityError(
            f"engine '{engine.name}' begins in whitened coordinates, and this inverse estimates "
            "the unknown itself; choose one of xi ('inverse-cnn'), or the engine that is named "
            "like the surrogate"
        )


def check_posterior(engine: Engine[Any], posterior: Posterior) -> None:
    """Refuse a posterior that the engine cannot work on, before any solve.

    Raises:
        CapabilityError: a derivative, the coarse twin, the model of m, the strong form or the
            simulations are missing, or the engine does not take data of that kind, or makes no use
            of an estimate, or needs one.
        ConfigError: the problem has a strong form, but not with this configuration.
    """
    check_takes(engine, posterior.likelihood)
    who = f"engine '{engine.name}'"
    on = unwhitened(posterior, who) if Need.UNKNOWN in engine.needs else posterior
    require(on.model, engine.requires - {Capability.STRONG_FORM}, who)
    if Need.COARSE in engine.needs and posterior.coarse is None:
        raise CapabilityError(
            f"{who} needs a surrogate beside the reference model; pass --surrogate with a "
            "checkpoint, or leave it out to have one trained"
        )
    check_estimate(engine, posterior)
    if posterior.denoiser is not None:
        check_law(engine, posterior.denoiser)
    if engine.simulations is not None and posterior.simulations is None:
        raise CapabilityError(
            f"{who} is to search in {engine.simulations}, which this posterior does not hold; give "
            "the recipe of the posterior the file, or leave the option out"
        )
    if Capability.STRONG_FORM in engine.requires:
        strong_form_of(posterior, who)


def strong_form_of(posterior: Posterior, who: str) -> tuple[StrongForm, Mapping[str, Array]]:
    """The problem behind a posterior as residuals at points, and where its data are.

    Raises:
        CapabilityError: there is none, or the prior has no derivative.
        ConfigError: not with this configuration of the problem.
    """
    build = getattr(posterior.model, "strong_form", None)
    if build is None:
        raise CapabilityError(
            f"{who} needs the strong form of the problem, which this model has not; "
            "use model 'reference' of a problem that has one, as darcy, flame, heat, helmholtz and "
            "tumor have, or another engine (map)"
        )
    if not posterior.prior.differentiable:
        raise CapabilityError(
            f"{who} needs a differentiable unknown, and this one is not (a level set); use an "
            "engine without derivatives (pcn, eki)"
        )
    found: tuple[StrongForm, Mapping[str, Array]] = build()
    return found
