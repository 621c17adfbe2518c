"""The estimate of a trained inverse as a result: solved for once, judged, and polished if asked.

The estimate comes with the posterior. Its misfit under the model tells whether it explains the data
at all, and the share of held-out data that are as odd tells whether they belong to the family that
was learned. ``polish`` moves it by Gauss-Newton, departures from the estimate penalised, no further
than the noise level asks (Bakushinskii 1992; discrepancy principle, Morozov 1966), or, as 'lbfgs',
by gradients alone (:mod:`.gradients`), or, as 'eki', by an ensemble without derivatives
(:mod:`.crowd`), or, as 'family', to the most probable member of the learned family
(:mod:`.family`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.bayes.likeness import UNLIKE, share_in_words
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import nearest
from pdeinv.config import Config
from pdeinv.engines.base import Chain, Engine, Need, Outcome
from pdeinv.engines.eki import EkiState
from pdeinv.engines.ended import Ended
from pdeinv.engines.learned.crowd import NOBODY, CrowdSearch
from pdeinv.engines.learned.family import FamilySearch
from pdeinv.engines.learned.gradients import GradientSearch, Slope
from pdeinv.engines.regularized.config import GaussNewtonConfig
from pdeinv.engines.regularized.differences import has_places
from pdeinv.engines.regularized.gauss_newton import GaussNewton, GaussNewtonState
from pdeinv.engines.regularized.parametrization import Parametrization
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.errors import CapabilityError, RunFailed
from pdeinv.model.forward import DERIVATIVES
from pdeinv.model.learned import Estimate, Role
from pdeinv.typing import Array

__all__ = ["LearnedConfig", "LearnedInverse", "LearnedState"]


class LearnedConfig(Config):
    """Options of the engines that report a trained inverse."""

    polish: Literal["none", "gauss-newton", "map", "lbfgs", "eki", "family"] = Field(
        "none",
        description="what moves the estimate until the data are fitted: Gauss-Newton in the "
        "unknown, smooth departures preferred, or ('map') in ξ, those that the prior finds small; "
        "'lbfgs' goes down the misfit in ξ by gradients, for large data; 'eki' moves an ensemble "
        "about the estimate, for models without derivatives; 'family' "
        "goes to the most probable member of the family of images that was learned",
    )
    max_iterations: int = Field(20, ge=1, description="most steps of the polish")
    ensemble_size: int | None = Field(
        None, ge=4, description="members of polish 'eki'; unset: as many as engine eki has"
    )
    discrepancy: float = Field(
        1.0, gt=0, description="τ: the polish stops at Φ = τ² n/2 for n data"
    )


@dataclass(frozen=True)
class LearnedState:
    """Where the result stands.

    Attributes:
        raw: Φ of the estimate itself.
        polished: the point, its misfit, and how the polish goes; the estimate without one.
        slope: what the polish by gradients carries from step to step.
        crowd: what the one by an ensemble carries.
    """

    raw: float
    polished: GaussNewtonState
    slope: Slope = field(default_factory=lambda: Slope.unknown(0))
    crowd: EkiState = NOBODY

    @property
    def misfit(self) -> float:
        """Φ of the point."""
        return self.polished.misfit

    @property
    def ended(self) -> Ended:
        """How it ended."""
        return self.polished.ended


class LearnedInverse(Engine[LearnedState]):
    """What a trained inverse says of the data, checked by a solve and polished where asked."""

    produces = "point"
    needs = frozenset({Need.ESTIMATE})
    uses = frozenset({Role.INVERSE})
    Config = LearnedConfig
    config: LearnedConfig

    def __init__(self, config: LearnedConfig) -> None:
        super().__init__(config)
        if config.polish not in ("none", "eki"):
            self.requires = DERIVATIVES  # type: ignore[misc]

    def inner(self, posterior: Posterior) -> GaussNewton | None:
        """What polishes this unknown; smoothness is of those that have places."""
        c = self.config
        if c.polish in ("none", "family"):
            return None
        more: dict[str, Any] = {"steps": max(2, c.max_iterations), "discrepancy": c.discrepancy}
        if c.polish in ("map", "lbfgs", "eki"):  # the coordinates of all three are ξ
            more |= {"regularization": "prior", "rule": "discrepancy"}
        else:
            field = any(has_places(v) for v in posterior.prior.space.variables)
            kind = "smoothness" if field else "tikhonov"
            more |= {"regularization": kind, "reference": "prior"}
        return GaussNewton(GaussNewtonConfig(**more))

    @property
    def n_steps(self) -> int:
        """Those of the polish; one where there is nothing to do."""
        return 1 if self.config.polish == "none" else self.config.max_iterations

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[LearnedState]:
        """The estimate, and its misfit.

        Raises:
            RunFailed: the model cannot be solved there.
        """
        told = _estimate(posterior)
        level: Literal["fine", "unknown"] = "fine" if told.of == "xi" else "unknown"
        raw = float((yield Misfit(told.mean, level)))
        if not np.isfinite(raw):
            raise RunFailed(
                f"the estimate of '{self.name}' cannot be solved for: values outside of what the "
                "model takes; train on more samples, or use another engine (map, gauss-newton)"
            )
        slope = Slope.unknown(posterior.dim if self.config.polish == "lbfgs" else 0)
        return LearnedState(raw, (yield from self._begun(posterior, told, raw)), slope)

    def _begun(self, posterior: Posterior, told: Estimate, raw: float) -> Steps[GaussNewtonState]:
        """The polish before its first step: at the estimate, which is its reference."""
        if self.config.polish == "family":
            search = self._search(told)
            return (yield from search.begun(search.place(told.mean)))
        inner, p, misfit = self.inner(posterior), told.mean, raw
        if inner is not None:
            coordinates = Parametrization.of(posterior, inner.config)
            p = _in_coordinates(posterior, told, coordinates)
            misfit = yield from coordinates.misfit(p)
        done = inner is None or misfit <= inner.config.wanted(posterior.noise.count)
        ended = Ended.CONVERGED if done else Ended.RUNNING
        return GaussNewtonState(p, misfit, misfit, 0.0, np.inf, np.zeros(0), p, ended=ended)

    def _search(self, told: Estimate) -> FamilySearch:
        """The search among the members of the family.

        Raises:
            CapabilityError: the inverse knows of none.
        """
        if told.family is None:
            raise CapabilityError(
                f"engine '{self.name}' with polish = 'family' needs a surrogate that knows the "
                "family of its images; use polish = 'map'"
            )
        return FamilySearch(told.family)

    def step(
        self, posterior: Posterior, state: LearnedState, rng: np.random.Generator
    ) -> Steps[LearnedState]:
        """One step of the polish."""
        if self.config.polish == "family":
            search = self._search(_estimate(posterior))
            return replace(state, polished=(yield from search.step(posterior, state.polished)))
        inner = self.inner(posterior)
        if inner is None:
            return state
        if self.config.polish == "lbfgs":
            gradients = GradientSearch(inner.config.wanted(posterior.noise.count))
            point, slope = yield from gradients.step(state.polished, state.slope)
            return replace(state, polished=point, slope=slope)
        if self.config.polish == "eki":
            wanted = inner.config.wanted(posterior.noise.count)
            search_of = CrowdSearch(wanted, self.config.ensemble_size)
            point, crowd = yield from search_of.step(posterior, state.polished, state.crowd, rng)
            return replace(state, polished=point, crowd=crowd)
        return replace(state, polished=(yield from inner.step(posterior, state.polished, rng)))

    def record(self, state: LearnedState, step: int) -> Mapping[str, Any] | None:
        """The course of the polish."""
        return {k: getattr(state.polished, k) for k in ("misfit", "objective", "weight")}

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The point, with the estimate and its spread in group ``learned``."""
        state: LearnedState = chains[0].state
        told, n = _estimate(posterior), posterior.n_data
        xi, m = self._point(posterior, told, state)
        unlike = told.likeness is not None and float(told.likeness) < UNLIKE
        polished = self.config.polish != "none"
        ended = state.ended.unless_cut(state.polished.n, self.n_steps)
        far = told.noise is not None and told.noise.far
        if unlike and not polished:
            ended = Ended.UNLIKE
        elif far and state.polished.n == 0:  # nothing but the network has seen that noise
            ended = Ended.UNTRAINED
        counting = posterior.n_counting
        summary = {"misfit": state.misfit, "misfit_per_datum": state.misfit / counting,
                   "estimate_misfit_per_datum": state.raw / counting}  # fmt: skip
        if told.likeness is not None:
            summary |= {"likeness": float(told.likeness), "unlike_training": float(unlike)}
        if told.noise is not None:
            summary["noise_over_training"] = told.noise.ratio
        if polished:
            summary |= {"iterations": float(state.polished.n), "weight": state.polished.weight}
        return Outcome(
            xi=np.zeros((1, 1, 0)) if m is not None else xi[None, None],
            stats={"misfit": np.array([[state.misfit]])},
            ended=ended,
            message=ended.sentence(self._message(state, told, n, ended)),
            summary=summary,
            groups={"learned": _group(posterior, told), **self._course(chains)},
            m=None if m is None else m[None, None],
            noise_factor=max(1.0, self.config.discrepancy),
            missed=Ended.MISSED if polished else Ended.UNPOLISHED,
        )

    def _point(
        self, posterior: Posterior, told: Estimate, state: LearnedState
    ) -> tuple[Array, Array | None]:
        """ξ, and m where that is what was found."""
        inner, p = self.inner(posterior), state.polished.p
        if self.config.polish == "family":
            return p, self._search(told).family.member(p)
        if inner is None:
            return p, None if told.of == "xi" else p
        coordinates = Parametrization.of(posterior, inner.config)
        return p, None if coordinates.kind == "xi" else coordinates.unknown(p)

    def _course(self, chains: Sequence[Chain]) -> dict[str, xr.Dataset]:
        polished = self.config.polish != "none" and chains[0].records
        return {"polish": chains[0].course("iteration")} if polished else {}

    def _message(self, state: LearnedState, told: Estimate, n: int, ended: Ended) -> str:
        """What was found, in one sentence; why it is not converged stands first."""
        parts = [f"estimate of '{self.name}' with misfit {state.raw:.4g} for {n} data"]
        if self.config.polish != "none":
            parts.insert(
                len(parts) if ended.converged else 0,
                f"{self.config.polish} {ended.words} after {state.polished.n} steps with "
                f"misfit {state.misfit:.4g}",
            )
        if told.likeness is not None:
            share = share_in_words(float(told.likeness))
            parts.insert(
                0 if ended is Ended.UNLIKE else len(parts),
                f"{share} of the held-out data are as odd as these, or odder",
            )
        if told.noise is not None and told.noise.far:
            parts.insert(0 if ended is Ended.UNTRAINED else len(parts), told.noise.words)
        return "; ".join(parts)


def _estimate(posterior: Posterior) -> Estimate:
    assert posterior.estimate is not None  # check_posterior has seen to it
    return posterior.estimate


def _in_coordinates(posterior: Posterior, told: Estimate, at: Parametrization) -> Array:
    """The estimate in those of the polish."""
    prior = posterior.prior
    if at.kind == "m":
        return at.of_unknown(prior.unwhiten(told.mean) if told.of == "xi" else told.mean)
    return told.mean if told.of == "xi" else nearest(prior, told.mean, told.std)


def _group(posterior: Posterior, told: Estimate) -> xr.Dataset:
    """Estimate and spread, as variables of ξ or of the unknown."""
    if told.of == "xi":
        text = {"mean": "xi as the inverse estimates it", "sd": "standard deviation of that"}
        of_xi = {"mean": told.mean, "sd": told.std}
        return xr.Dataset(
            {k: ("xi_dim", of_xi[k], {"units": "1", "long_name": v}) for k, v in text.items()}
        )
    space, found = posterior.prior.space, xr.Dataset()
    for what, values in (("mean", told.mean), ("sd", told.std)):
        part = space.unpack(values).rename({v: f"{v}_{what}" for v in space.names})
        found = found.merge(part, compat="no_conflicts")
    return found
