"""What an engine says of itself, and whether that is so."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any, get_args

import numpy as np

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.denoisers import MixtureDenoiser
from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.engines.base import Need, Produces, check_posterior
from pdeinv.errors import CapabilityError
from pdeinv.model.forward import Capability, ForwardModel, Linearization
from pdeinv.model.learned import Estimate, Role
from pdeinv.typing import Array

from .clauses import Table, hold, refused
from .configs import add_config_clauses, add_name_clause
from .engine_case import PROTOCOL, Case

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)

AWAY, NEAR = 0.7, 0.2
"""Mean and standard deviation of an estimate that is somewhat off."""

add_name_clause(CLAUSES)


@CLAUSES.clause("summary", "the class has a docstring, whose first line says what it computes")
def summary(case: Case) -> None:
    hold((case.kind.__doc__ or "").strip(), "there is none")


@CLAUSES.clause("produces", "`produces` is posterior, approximate or point")
def produces(case: Case) -> None:
    hold(case.kind.produces in get_args(Produces), f"it is {case.kind.produces!r}")


def _members(found: object, of: type[StrEnum]) -> bool:
    return isinstance(found, frozenset) and all(isinstance(v, of) for v in found)


@CLAUSES.clause(
    "requires", "`requires` is a frozenset of Capability, `needs` one of Need",
)  # fmt: skip
def requires(case: Case) -> None:
    hold(_members(case.kind.requires, Capability), f"`requires` is {case.kind.requires!r}")
    hold(_members(case.engine().needs, Need), f"`needs` is {case.engine().needs!r}")


add_config_clauses(CLAUSES)


@CLAUSES.clause(
    "built", "`Engine(config)` keeps `config`; `n_chains` and `n_steps` are whole and positive"
)
def built(case: Case) -> None:
    engine = case.engine()
    hold(engine.config == case.config, "`config` is another one")
    for what, n in {"n_chains": engine.n_chains, "n_steps": engine.n_steps}.items():
        hold(isinstance(n, int | np.integer) and n >= 1, f"`{what}` is {n!r}")


@CLAUSES.clause("travels", "an engine can be sent to worker processes", needs=("built",))
def travels(case: Case) -> None:
    there: Any = ForkingPickler.loads(ForkingPickler.dumps(case.engine()))
    hold(there.config == case.config, "it arrives with another configuration")


class Bare:
    """A model without derivatives or anything else beside its values."""

    def __init__(self, inner: ForwardModel) -> None:
        self.inner, self.capabilities = inner, frozenset[Capability]()
        self.m_space, self.d_space, self.kind = inner.m_space, inner.d_space, inner.kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __call__(self, m: Array, /) -> Array:
        return self.inner(m)

    def linearize(self, m: Array, /) -> Linearization:
        raise CapabilityError("this model has no derivative")


@CLAUSES.clause(
    "refuses", "a posterior without what it requires is refused with CapabilityError before any "
    "solve; without what it does not require, it works", needs=("built", "requires"),
    where="pdeinv.engines.base.check_posterior",
)  # fmt: skip
def refuses(case: Case) -> None:
    engine, full = case.engine(), case.build()
    model = full.model.model if isinstance(full.model, WhitenedModel) else full.model
    bare = WhitenedModel(full.prior, Bare(model))
    on = replace(full, model=bare, coarse=None, estimate=None)
    if not engine.requires and not engine.needs & {Need.COARSE, Need.ESTIMATE}:
        check_posterior(engine, on)
        hold(np.isfinite(replace(case, build=lambda: on).draws()).all(), "draws are not finite")
        return
    error = refused(lambda: check_posterior(engine, on), "such a posterior", CapabilityError)
    hold(engine.name in str(error), f"the message does not name the engine: {error}")
    hold(on.counters.n_forward == 0, "it was solved before")


def _of_ones(on: Posterior) -> Posterior:
    """The same model of data that are 0 or 1, its coarse twin likewise."""
    coarse = None if on.coarse is None else _of_ones(on.coarse)
    data, likelihood = np.where(on.data > 0, 1.0, 0.0), Bernoulli(on.n_data)
    return replace(on, data=data, likelihood=likelihood, coarse=coarse)


@CLAUSES.clause(
    "takes", "`takes` is a LikelihoodKind; data of 0 and 1 are worked on where that is more than "
    "gaussian, and refused with CapabilityError otherwise", needs=("built", "requires"),
    where="pdeinv.bayes.likelihood.Likelihood",
)  # fmt: skip
def takes(case: Case) -> None:
    engine, on = case.engine(), _of_ones(case.build())
    hold(isinstance(engine.takes, LikelihoodKind), f"it is {engine.takes!r}")
    if engine.takes.covers(LikelihoodKind.DENSITY):
        hold(np.isfinite(replace(case, build=lambda: on).draws()).all(), "draws are not finite")
        return
    refused(lambda: check_posterior(engine, on), "such data", CapabilityError)


@CLAUSES.clause(
    "uses", "`uses` is a frozenset of Role; with inverse, chains begin near the estimate of the "
    "posterior, where there is one; without, such a posterior is refused with CapabilityError",
    needs=("built", "requires"), where="pdeinv.engines.base.check_begins",
)  # fmt: skip
def uses(case: Case) -> None:
    engine, on = case.engine(), case.build()
    found = getattr(engine, "uses", frozenset[Role]())
    hold(_members(found, Role), f"it is {found!r}")
    told = replace(on, estimate=Estimate(np.full(on.dim, AWAY), np.full(on.dim, NEAR)))
    if Role.INVERSE not in found:
        refused(lambda: check_posterior(engine, told), "an estimate", CapabilityError)
        return
    check_posterior(engine, told)
    plain, begun = (replace(case, build=partial(replace, p)).draws() for p in (on, told))
    hold(np.isfinite(begun).all(), "draws are not finite")
    hold(not np.array_equal(plain, begun), "chains begin as they do without an estimate")


@CLAUSES.clause(
    "law", "with denoiser in `uses`, draws follow the denoiser of the posterior where there is "
    "one; without, such a posterior is refused with CapabilityError",
    needs=("built", "uses"), where="pdeinv.engines.base.check_law",
)  # fmt: skip
def law(case: Case) -> None:
    engine, on = case.engine(), case.build()
    narrow = MixtureDenoiser(np.ones(1), np.full((1, on.dim), AWAY), np.full(on.dim, NEAR**2))
    told = replace(on, denoiser=narrow)
    if Role.DENOISER not in getattr(engine, "uses", frozenset[Role]()):
        refused(lambda: check_posterior(engine, told), "a denoiser", CapabilityError)
        return
    check_posterior(engine, told)
    plain, learned = (replace(case, build=partial(replace, p)).draws() for p in (on, told))
    hold(np.isfinite(learned).all(), "draws are not finite")
    hold(not np.array_equal(plain, learned), "draws are those of N(0, I)")
