"""Moves between the modes of a posterior, exact whatever is known of them.

Where searches from prior draws find several minima, each has a Gaussian N(mean_i, C_i). With the
share of mode i at a point, r_i(ξ) = w_i q_i(ξ) / Σ_j w_j q_j(ξ), q_i a Student t density of the
same centre and scale, the pair (ξ, i) has the density π(ξ) r_i(ξ), whose marginal is the posterior.

- The mode is drawn from r(ξ) anew before each step.
- A step within it, made about N(mean_i, C_i), is accepted with the factor r_i(ξ')/r_i(ξ).
- A jump maps z = C_i^(-1/2)(ξ - mean_i), or a fresh z, to mean_j + C_j^(1/2) z (Pompe, Holmes,
  Łatuszyński 2020; the mode is not remembered here, so that a state is a point).

With one mode r = 1 and nothing of this happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.bayes.reference import Reference
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.gaussian.approximation import LaplaceApproximation
from pdeinv.engines.gaussian.optima import FEW, Optimum, found_optima, masses
from pdeinv.engines.mcmc.chains import SamplerConfig
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.solvable import Place
from pdeinv.model.forward import DERIVATIVES
from pdeinv.typing import Array

__all__ = ["Jump", "ManyModesConfig", "Modes", "searched_modes"]

MANY_SEARCHES, FEW_SEARCHES = 12, 4
"""Of a chain, for few unknowns and for more."""

NEGLIGIBLE, IMPOSSIBLE = 1e-4, 1e-12
"""Modes with a smaller share of the mass, by their Laplace evidence, are left out: the first one,
in which a chain begins, where its share is beyond all that the approximation may be wrong by."""

TAILS = 4.0
"""Degrees of freedom of the t densities."""


class ManyModesConfig(SamplerConfig):
    """Options of the samplers that look for several modes."""

    searches: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="searches of one chain from prior draws for further modes, where the model has "
        "derivatives; unset: 12 for at most 20 unknowns, else 4",
    )

    def searches_for(self, posterior: Posterior) -> int:
        """How many searches a chain makes."""
        if not posterior.model.capabilities >= DERIVATIVES:
            return 0
        if self.searches is not None:
            return self.searches
        return MANY_SEARCHES if posterior.dim <= FEW else FEW_SEARCHES


@dataclass(frozen=True)
class Jump:
    """Where an attempt to change the mode led, and how likely it was."""

    place: Place
    chance: float
    accepted: bool = False


@dataclass(frozen=True)
class Modes:
    """What a chain knows of k modes; arrays, so that a checkpoint holds it.

    Attributes:
        mean: centres of the Gaussians, shape (k, dim).
        basis: their directions, shape (k, dim, r); see :class:`Reference`.
        excess: their variances along these, less 1, shape (k, r).
        log_weight: ln w, shape (k,).
        point: the minima, shape (k, dim).
        objective: J there, shape (k,).
        log_evidence: by Laplace, shape (k,).
        hits: how many searches ended there, shape (k,).
    """

    mean: Array
    basis: Array
    excess: Array
    log_weight: Array
    point: Array
    objective: Array
    log_evidence: Array
    hits: Array

    @classmethod
    def none(cls, reference: Reference) -> Modes:
        """One Gaussian, of which no minimum is known."""
        return cls._of([reference], [], np.zeros(1))

    @classmethod
    def of(cls, optima: Sequence[Optimum]) -> Modes:
        """The minima whose mass is not negligible, the first one where it is not impossible."""
        share = masses([o.log_evidence for o in optima])
        kept = [o for k, o in enumerate(optima) if share[k] > (NEGLIGIBLE if k else IMPOSSIBLE)]
        logs = np.array([o.log_evidence for o in kept])
        weight = np.maximum(masses(list(logs)), NEGLIGIBLE)
        return cls._of([reference_of(o) for o in kept], kept, np.log(weight / weight.sum()))

    @classmethod
    def _of(
        cls, references: Sequence[Reference], optima: Sequence[Optimum], log_weight: Array
    ) -> Modes:
        rank = max(r.basis.shape[1] for r in references)
        even = [widened(r, rank) for r in references]
        dim = len(references[0].mean)
        return cls(
            np.stack([r.mean for r in even]),
            np.stack([r.basis for r in even]),
            np.stack([r.excess for r in even]),
            log_weight,
            np.stack([o.xi for o in optima]) if optima else np.zeros((0, dim)),
            np.array([o.objective for o in optima]),
            np.array([o.log_evidence for o in optima]),
            np.array([o.hits for o in optima], dtype=int),
        )

    @property
    def count(self) -> int:
        """k."""
        return len(self.mean)

    def reference(self, i: int) -> Reference:
        """The Gaussian of mode i."""
        return Reference(self.mean[i], self.basis[i], self.excess[i])

    def first(self, found: Reference) -> Reference:
        """The Gaussian of the first mode: ``found`` to the bit where that is the only one."""
        alone = self.count == 1 and np.array_equal(self.mean[0], found.mean)
        return found if alone else self.reference(0)

    def with_references(self, references: Sequence[Reference]) -> Modes:
        """The same modes about other Gaussians, of one rank."""
        return replace(
            self,
            mean=np.stack([r.mean for r in references]),
            basis=np.stack([r.basis for r in references]),
            excess=np.stack([r.excess for r in references]),
        )

    def led_by(self, reference: Reference) -> Modes:
        """With that Gaussian, to the bit, as the first."""
        first = widened(reference, self.basis.shape[-1])
        return self.with_references([first, *(self.reference(i) for i in range(1, self.count))])

    def leading_with_mass(self) -> Modes:
        """With a mode of the largest mass first, where the first one's is negligible.

        A search may have got stuck far from anything that explains the data.
        """
        if self.count == 1 or self.log_weight[0] > np.log(2 * NEGLIGIBLE):
            return self
        order = np.argsort(np.arange(self.count) != np.argmax(self.log_weight), kind="stable")
        return Modes(*(getattr(self, f.name)[order] for f in fields(self)))

    def log_shares(self, xi: Array) -> Array:
        """ln r(ξ), shape (k,)."""
        if self.count == 1:
            return np.zeros(1)
        off = xi - self.mean
        along = np.square(np.einsum("kd,kdr->kr", off, self.basis))
        square = np.sum(off**2, axis=1) - np.sum(self.excess / (1 + self.excess) * along, axis=1)
        found = -0.5 * (TAILS + len(xi)) * np.log1p(np.maximum(square, 0.0) / TAILS)
        found += self.log_weight - 0.5 * self._log_determinants
        return np.asarray(found - found.max() - np.log(np.sum(np.exp(found - found.max()))))

    @property
    def _log_determinants(self) -> Array:
        return np.asarray(np.sum(np.log1p(self.excess), axis=1))

    def drawn(self, xi: Array, rng: np.random.Generator) -> int:
        """A mode from r(ξ)."""
        return 0 if self.count == 1 else _one_of(np.exp(self.log_shares(xi)), rng)

    def nearest(self, xi: Array) -> int:
        """The mode with the largest share at a point."""
        return int(np.argmax(self.log_shares(xi)))

    def tilt(self, i: int, start: Array, end: Array) -> float:
        """ln r_i(end) - ln r_i(start)."""
        if self.count == 1:
            return 0.0
        return float(self.log_shares(end)[i] - self.log_shares(start)[i])

    def jump(self, place: Place, rng: np.random.Generator) -> Steps[Jump]:
        """An attempt to go to another mode, for one solve; none where there is one mode."""
        if self.count == 1:
            return Jump(place, 0.0)
        shares = self.log_shares(place.xi)
        i = _one_of(np.exp(shares), rng)
        chances = self._chances(i)
        j = _one_of(chances, rng)
        z = self.reference(i).whiten(place.xi)
        new = z if rng.random() < 0.5 else rng.standard_normal(len(z))
        xi = self.reference(j).unwhiten(new)
        there = Place(xi, float((yield Misfit(xi))))
        gain = place.misfit + float(cost(place.xi)) - there.misfit - float(cost(xi))
        gain += float(self.log_shares(xi)[j] - shares[i] + cost(new) - cost(z))
        gain += 0.5 * float(self._log_determinants[j] - self._log_determinants[i])
        gain += float(np.log(self._chances(j)[i] / chances[j]))
        chance = float(np.exp(log_acceptance(gain)))
        accepted = bool(rng.random() < chance)
        return Jump(there if accepted else place, chance, accepted)

    def _chances(self, i: int) -> Array:
        """Of the modes that a jump from mode i may go to."""
        weight = np.exp(self.log_weight)
        weight[i] = 0.0
        return np.asarray(weight / weight.sum())


def _one_of(chances: Array, rng: np.random.Generator) -> int:
    k = int(np.searchsorted(np.cumsum(chances), rng.random() * chances.sum(), side="right"))
    return min(k, len(chances) - 1)


def reference_of(optimum: Optimum) -> Reference:
    """The Gaussian about a minimum as a reference measure."""
    found = optimum.laplace
    return Reference(found.mean, found.vectors, -found.eigenvalues / (1 + found.eigenvalues))


def widened(reference: Reference, rank: int) -> Reference:
    """The same Gaussian with further orthonormal directions, along which nothing is special."""
    dim, r = reference.basis.shape
    if r == rank:
        return reference
    full, _ = np.linalg.qr(np.hstack([reference.basis, np.eye(dim, rank)]))
    basis = np.hstack([reference.basis, full[:, r:rank]])
    return replace(reference, basis=basis, excess=np.pad(reference.excess, (0, rank - r)))


def searched_modes(
    posterior: Posterior, reference: Reference, n: int, rng: np.random.Generator
) -> Steps[Modes]:
    """The mode of ``reference`` and those that ``n`` searches from prior draws add.

    Args:
        posterior: whose modes.
        reference: a Laplace approximation, which becomes mode 0.
        n: searches; none are made of a model without derivatives.
        rng: for their starts.
    """
    if n == 0 or not posterior.model.capabilities >= DERIVATIVES:
        return Modes.none(reference)
    known = []
    if reference.basis.shape[1]:  # else the search for its mean has failed
        xi, excess = reference.mean, reference.excess
        laplace = LaplaceApproximation(xi, -excess / (1 + excess), reference.basis, 0.0)
        known = [Optimum(float((yield Misfit(xi)) + cost(xi)), laplace)]
    optima = yield from found_optima(posterior, n, rng, known)
    if not optima:
        return Modes.none(reference)
    modes = Modes.of(optima)
    led = known and np.array_equal(modes.mean[0], reference.mean)
    return modes.led_by(reference) if led else modes
