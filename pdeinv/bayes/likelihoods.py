"""Likelihoods of data that are not measured with additive noise, for ``invert((y, likelihood))``.

Each function gives what makes the likelihood once the number of data is known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pdeinv.bayes.bernoulli import Bernoulli, check_share
from pdeinv.bayes.dice import Dice

__all__ = ["bernoulli", "dice"]


def bernoulli(link: str = "logit", weight: float = 1.0) -> Callable[[int], Bernoulli]:
    """Data of 0 and 1; the model predicts z, and P(1) = p(z).

    Args:
        link: ``logit``, p = 1 / (1 + e^-z), or ``threshold``, p = ½ + ½ sign(z) (1 - e^(-z²)).
        weight: the effective share of independent data.

    Raises:
        ConfigError: no such link, or a weight that is no share.
    """
    return partial(Bernoulli, link=Bernoulli(0, link).link, weight=check_share(weight))


def dice(link: str = "logit", weight: float = 1.0) -> Callable[[int], Dice]:
    """The soft Dice score of one mask of 0 and 1, for point estimates; options as above."""
    made = Dice((0,), link, weight)
    return lambda n: Dice((0,) * n, made.link, made.weight)
