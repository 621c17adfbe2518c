"""How a minimization, a chain or a whole run ended, in words, with what to do about it."""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Self

__all__ = ["Ended"]


@unique
class Ended(IntEnum):
    """Why there are no more steps; checkpoints hold its number.

    Attributes:
        words: how it ended, for the middle of a sentence.
        advice: what to do about it, a clause of its own; empty where nothing needs doing.
    """

    words: str
    advice: str

    RUNNING = 0, "stopped at the largest number of iterations", "allow more"
    CONVERGED = 1, "converged", ""
    STALLED = (
        2,
        "stalled",
        "no step lowers the objective: 'pdeinv check' tests the derivatives; where solves fail, "
        "start elsewhere or see positivity",
    )
    MISSED = (
        3,
        "not converged",
        "the noise level was not reached: noise too small, model wrong, or a side minimum",
    )
    DRAWN = 4, "all draws done", "convergence is judged by R-hat and ESS"
    UNMIXED = 5, "not converged", "draw more"
    BUDGET = 6, "budget spent", "raise the budget and continue with --resume"
    MISLED = (
        7,
        "not converged",
        "train the surrogate on more samples around the posterior, or use engine pcn",
    )
    COLLAPSED = 8, "not converged", "raise ensemble_size, or use an engine of the exact posterior"
    NOT_GAUSSIAN = (
        9,
        "not converged",
        "the posterior is no Gaussian about this point: use engine hmc or pcn",
    )
    OFF_MINIMUM = 10, "not converged", "train longer, or use engine map"
    SEVERAL = (
        11,
        "not converged",
        "one Gaussian does not stand for several modes: draw them with engine hmc",
    )

    CUT = 12, "cut short", ""
    SADDLE = (
        13,
        "not converged",
        "saddle points kept the search: start elsewhere (engine.start = 'prior', another seed)",
    )
    SHORTENED = (
        14,
        "not converged",
        "the model cannot be solved at the whole step: set positivity 'log', or a larger weight",
    )

    UNREFINED = (
        15,
        "finished",
        "the best of what was simulated and no minimum: set refine to 'local' or 'cma'",
    )

    COUPLED = 16, "not converged", "lower engine.coupling"
    UNLIKE = (
        17,
        "not converged",
        "the data are unlike those of the training: polish the estimate (engine.polish), or use an "
        "engine of the model alone (map, gauss-newton)",
    )

    UNPOLISHED = (
        18,
        "not converged",
        "the estimate is not polished: set engine.polish ('map', 'gauss-newton'), which fits the "
        "data; else noise too small, or model wrong",
    )

    FITTED = (
        19,
        "stopped at the noise level",
        "an estimate that its early end regularizes, and no minimum",
    )

    ALONE = (
        20,
        "not converged",
        "lower minima may be unseen: make more searches (engine.starts, of cma engine.searches)",
    )

    UNTRAINED = (
        21,
        "not converged",
        "correct the noise of the data, train with a noise_range that holds it, or use an engine "
        "of the model alone (map, gauss-newton)",
    )

    def __new__(cls, code: int, words: str, advice: str) -> Self:
        """The number with its two texts."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.words, member.advice = words, advice
        return member

    def unless_cut(self, n: int, most: int) -> Ended:
        """Itself, or ``CUT`` where a budget ended it after ``n`` of ``most`` steps."""
        return Ended.CUT if self is Ended.RUNNING and n < most else self

    @property
    def converged(self) -> bool:
        """Whether the engine's own criterion was met."""
        return self in (Ended.CONVERGED, Ended.DRAWN, Ended.FITTED)

    @property
    def settled(self) -> bool:
        """Whether the engine came to its end, so that what it found can be judged further."""
        return self.converged or self in (Ended.SEVERAL, Ended.ALONE)

    def sentence(self, found: str) -> str:
        """What was found, with the advice."""
        return f"{found}; {self.advice}" if self.advice else found
