"""Do the data belong to a learned prior at all? What it foresees of them, before anything is drawn.

A learned prior knows the fields that it was trained on and no others: data of another kind of field
get an answer all the same, of the kind that it knows. Draws of it are solved for, noise is added,
and the data are compared with these.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.likeness import UNLIKE, informed, likeness, share_in_words
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.engines.base import Outcome
from pdeinv.engines.diffusion.prior import law_draws
from pdeinv.errors import DataSchemaError
from pdeinv.io.arrays import opened_arrays, write_arrays
from pdeinv.io.runs import FORESEEN
from pdeinv.model.learned import Denoiser
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["DRAWS", "Foreseen", "UnlikeLearned", "compared", "foreseen", "likeness_beside"]

DRAWS = 100
"""Of the learned prior; each costs many calls of its network, and one solve."""

FEWEST = 20
"""Draws that can be solved for without which nothing is told."""


NARROWEST = 1e-3
"""Spread of a datum that hardly varies, in that of the one that varies most."""


class UnlikeLearned(UserWarning):
    """Data are unlike what a learned prior foresees of them."""


@dataclass(frozen=True)
class Foreseen:
    """What a learned prior says of the data that are to come.

    Attributes:
        draws: of its law, (n, dim).
        likeness: the share of data of such draws that are as far from their middle as the data at
            hand, or as near; None where that is not known.
        counters: what it has cost.
    """

    draws: Array
    likeness: float | None = None
    counters: Counters = field(default_factory=Counters)

    @property
    def remark(self) -> str:
        """What to tell of data that are unlike all of it; else nothing."""
        if self.likeness is None or self.likeness >= UNLIKE:
            return ""
        return (
            "the data are unlike what the learned prior foresees: data of its own draws are as far "
            f"from their middle, or as near, in {share_in_words(self.likeness)} cases; check units "
            "and noise, train it on fields of the kind that is sought, or leave --surrogate out"
        )

    def keep(self, file: Path) -> None:
        """Write it, for a run that goes on."""
        likeness = np.array(np.nan if self.likeness is None else self.likeness)
        write_arrays(file, draws=self.draws, likeness=likeness, **self.counters.as_dict())

    @classmethod
    def kept(cls, file: Path) -> Foreseen:
        """What a run has kept.

        Raises:
            DataSchemaError: the file is damaged.
        """

        def refusal(kind: str) -> DataSchemaError:
            return DataSchemaError(f"{file} is damaged ({kind}); start again with --overwrite")

        with opened_arrays(file, refusal) as arrays:
            spent = Counters(**{k: int(arrays[k]) for k in Counters().as_dict()})
            told = float(arrays["likeness"])
            return cls(arrays["draws"], None if np.isnan(told) else told, spent)

    def told(self, outcome: Outcome) -> Outcome:
        """The outcome with its figures."""
        if self.likeness is None:
            return outcome
        figures = {"likeness": self.likeness, "unlike_training": float(bool(self.remark))}
        return replace(outcome, summary={**outcome.summary, **figures})


def foreseen(
    posterior: Posterior, seed: int, folder: Path, *, resume: bool = False
) -> Foreseen | None:
    """Draws of the learned law and how the data compare with theirs, one solve each; warns.

    Args:
        posterior: data, model and law; None is returned where it has no learned one.
        seed: root seed.
        folder: of the run, which keeps them.
        resume: whether the run goes on with what is there.

    Raises:
        DataSchemaError: what is kept there is damaged.
    """
    if posterior.denoiser is None:
        return None
    file = folder / FORESEEN
    if resume and file.exists():
        found = Foreseen.kept(file)
    else:
        found = compared(posterior, posterior.denoiser, seed)
        found.keep(file)
    if found.remark:
        warnings.warn(found.remark, UnlikeLearned, stacklevel=2)
    return found


def compared(posterior: Posterior, law: Denoiser, seed: int, n: int = DRAWS) -> Foreseen:
    """The same without a warning."""
    draws, counters = law_draws(law, stream(seed, "prior"), n), Counters()
    if posterior.likelihood.kind is LikelihoodKind.SCORE:  # no data can be drawn
        return Foreseen(draws)
    clean = posterior.predict_rows(draws, [counters] * n).values
    clean = clean[np.isfinite(clean).all(axis=1)]
    told = None
    if len(clean) >= FEWEST:
        told = likeness_beside(posterior, clean, stream(seed, "foreseen"))
    return Foreseen(draws, told, counters)


def likeness_beside(posterior: Posterior, clean: Array, rng: np.random.Generator) -> float:
    """That of the data to predictions of draws (n, n_d), which get noise.

    In units of additive noise, else of the spread of what is expected.
    """
    law, here = posterior.likelihood, np.zeros(posterior.n_data)
    off = law.draw(clean, rng) - posterior.data
    if isinstance(law, Noise):
        modes = informed(law.whiten(clean - posterior.data))
        return likeness(law.whiten(here), law.whiten(off), modes)
    spread = off.std(axis=0)
    least = NARROWEST * float(spread.max()) or 1.0
    return likeness(here, off / np.maximum(spread, least))
