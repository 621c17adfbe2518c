"""What an engine is: pure steps on an immutable state. The driver owns everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar

import numpy as np
import xarray as xr
from pydantic import Field, model_validator

from pdeinv.bayes.posterior import Counters, Posterior, WhitenedModel
from pdeinv.bayes.prior import Prior
from pdeinv.config import Config as BaseConfig
from pdeinv.errors import CapabilityError, RunFailed
from pdeinv.models import Capability, require
from pdeinv.strong import StrongForm
from pdeinv.typing import Array

__all__ = [
    "Chain",
    "Engine",
    "Outcome",
    "Produces",
    "SamplerConfig",
    "check_posterior",
    "check_thinning",
    "first_point",
    "stack",
    "strong_form_of",
]

Produces = Literal["posterior", "approximate", "point"]
"""``posterior``: exact as the run grows; ``approximate``: a Gaussian or ensemble; ``point``."""

S = TypeVar("S")


@dataclass(frozen=True)
class Chain:
    """One finished (or stopped) sequence of steps.

    Attributes:
        state: the engine's last state.
        records: what :meth:`Engine.record` returned, stacked along axis 0.
        counters: what the chain spent.
        seconds: its wall time, resumed parts included.
    """

    state: Any
    records: Mapping[str, Array]
    counters: Counters
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What an engine found, in whitened coordinates or, where it left them, in the unknown itself.

    Attributes:
        xi: draws, shape (chain, draw, dim); a point estimate is 1 x 1. Empty, (chain, draw, 0),
            where ``m`` is given.
        stats: arrays (chain, draw) by name for ``sample_stats``; ``misfit`` always.
        converged: whether the engine's own criterion was met.
        message: one sentence on why it ended.
        summary: numbers for the terminal table and the result's attributes.
        groups: further groups for the result file (a spectrum, estimators, ...).
        independent_chains: False where chains share information, so that R-hat means nothing.
        m: draws of the unknown itself, shape (chain, draw, n_m), where they need not be the image
            of any xi; None where xi says it all.
    """

    xi: Array
    stats: Mapping[str, Array]
    converged: bool
    message: str
    summary: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, xr.Dataset] = field(default_factory=dict)
    independent_chains: bool = True
    m: Array | None = None

    def unknowns(self, prior: Prior, rows: slice = slice(None)) -> Array:
        """The unknown of those draws, shape (chain, rows, n_m)."""
        return prior.unwhiten(self.xi[:, rows]) if self.m is None else self.m[:, rows]


class SamplerConfig(BaseConfig):
    """Lengths that every Markov chain sampler shares; all count steps of one chain."""

    chains: int = Field(4, ge=1, description="independent chains")
    draws: int = Field(2000, ge=1, description="total steps after warm-up, per chain")
    warmup: int = Field(1000, ge=0, description="adaptation steps before the first draw, discarded")
    thin: int = Field(1, ge=1, description="keep every thin-th draw")

    @model_validator(mode="after")
    def _keeps_a_draw(self) -> Self:
        check_thinning(self.draws, self.thin)
        return self


def check_thinning(draws: int, thin: int) -> None:
    """Refuse a chain that would end before its first kept draw, with all its solves spent.

    Raises:
        ValueError: ``thin`` exceeds ``draws``.
    """
    if thin > draws:
        raise ValueError(
            f"draws = {draws} keeps nothing, thin = {thin} keeps every {thin}-th draw only; "
            f"ask for at least {thin} draws, or lower thin"
        )


class Engine(Protocol[S]):
    """An inversion method. ``Engine(config)`` builds it; the driver calls the rest.

    An engine that moves the unknown itself, past the prior's map, has an attribute
    ``moves_unknown`` that is true: its ``requires`` is then asked of the model of m.

    The state is a frozen dataclass whose fields are arrays, ints, floats or bools, so that
    checkpoints need no code of the engine's own.
    """

    name: ClassVar[str]
    produces: ClassVar[Produces]
    requires: ClassVar[frozenset[Capability]]
    Config: ClassVar[type[BaseConfig]]

    def __init__(self, config: Any) -> None: ...

    @property
    def config(self) -> BaseConfig:
        """The resolved configuration."""

    @property
    def n_chains(self) -> int:
        """How many independent chains to run."""

    @property
    def n_steps(self) -> int:
        """The largest number of steps of one chain."""

    def init(self, posterior: Posterior, rng: np.random.Generator) -> S:
        """The state before the first step."""

    def step(self, posterior: Posterior, state: S, rng: np.random.Generator) -> S:
        """One step; pure but for ``rng`` and the posterior's counters."""

    def record(self, state: S, step: int) -> Mapping[str, Any] | None:
        """What to keep of the state after step number ``step`` (from 1), or None for nothing."""

    def finished(self, state: S) -> bool:
        """Whether to stop before ``n_steps``."""

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """Turn the chains into the result."""


def check_posterior(engine: Engine[Any], posterior: Posterior) -> None:
    """Refuse a posterior that the engine cannot work on, before any solve.

    Raises:
        CapabilityError: a derivative, the coarse model or the strong form is missing.
        ConfigError: the problem has a strong form, but not with this configuration.
    """
    beside = {Capability.COARSE, Capability.STRONG_FORM}
    model, who = posterior.model, f"engine '{engine.name}'"
    if getattr(engine, "moves_unknown", False) and isinstance(model, WhitenedModel):
        model = model.model
    require(model, engine.requires - beside, who)
    if Capability.COARSE in engine.requires and posterior.coarse is None:
        raise CapabilityError(
            f"engine '{engine.name}' needs a surrogate beside the reference model; "
            "pass --surrogate with a checkpoint, or leave it out to have one trained"
        )
    if Capability.STRONG_FORM in engine.requires:
        strong_form_of(posterior, f"engine '{engine.name}'")


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
            "use model 'reference' of a problem that has one, or another engine (map)"
        )
    if not posterior.prior.differentiable:
        raise CapabilityError(
            f"{who} needs a differentiable unknown, and this one is not (a level set); use an "
            "engine without derivatives (pcn, eki)"
        )
    found: tuple[StrongForm, Mapping[str, Array]] = build()
    return found


def first_point(
    posterior: Posterior, rng: np.random.Generator, xi: Array, tries: int = 20
) -> tuple[Array, float]:
    """A point where the model can be solved, with its misfit: ``xi``, else a prior draw.

    Raises:
        RunFailed: ``tries`` solves failed.
    """
    for _ in range(tries):
        misfit = float(posterior.misfit(xi))
        if np.isfinite(misfit):
            return xi, misfit
        xi = rng.standard_normal(posterior.dim)
    raise RunFailed(
        f"no starting point: {tries} solves failed; check the problem's configuration with "
        "'pdeinv check', or narrow the prior"
    )


def stack(chains: Sequence[Chain], name: str) -> Array:
    """One record of all chains as (chain, draw, ...), cut to the shortest chain.

    Raises:
        RunFailed: a chain stopped before its first draw.
    """
    n = min(len(c.records.get(name, ())) for c in chains)
    if n == 0:
        raise RunFailed(
            "a chain was stopped before its first draw; raise the budget and continue with --resume"
        )
    return np.stack([c.records[name][:n] for c in chains])
