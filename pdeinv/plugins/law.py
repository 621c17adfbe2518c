"""A learned prior in a run: its denoiser, and the map from its coordinates to the unknown."""

from __future__ import annotations

import math
from typing import Any, cast

from pdeinv.bayes.prior import Prior
from pdeinv.errors import CapabilityError, SurrogateRejected
from pdeinv.model.learned import Denoiser
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.surrogate import Surrogate

__all__ = ["law_of"]

MEMBERS = ("space", "spread", "differentiable", "vjp")


def law_of(
    surrogate: Surrogate, problem: Problem, prior: Prior, sensors: Sensors
) -> tuple[Prior, Denoiser]:
    """The prior whose coordinates a trained denoiser is of, and the denoiser.

    One that brings no ``prior`` of its own is of the problem's own xi.

    Args:
        surrogate: of role ``denoiser``.
        problem: that is inverted.
        prior: the problem's.
        sensors: where the data are.

    Raises:
        CapabilityError: what it binds to lacks a member of :class:`pdeinv.model.learned.Denoiser`.
        SurrogateRejected: trained for another problem, configuration or prior, or of another size.
    """
    found: Any = surrogate.bind(problem, prior, sensors)
    lost = [name for name in MEMBERS if not hasattr(found, name)]
    if lost or not callable(found) or not 0 < float(found.spread) < math.inf:
        what = f"`{lost[0]}`" if lost else "a call or a positive `spread`"
        raise CapabilityError(
            f"surrogate '{surrogate.name}' is bound to a denoiser without {what}, which engines "
            "need (pdeinv.model.learned.Denoiser); add it, or use another surrogate"
        )
    own = cast(Prior, getattr(found, "prior", None) or prior)
    if own.dim != found.space.size or own.space.size != prior.space.size:
        raise SurrogateRejected(
            f"surrogate '{surrogate.name}' denoises {found.space.size} coordinates, its prior maps "
            f"{own.dim} of them to {own.space.size} values, and the unknown of this run has "
            f"{prior.space.size}; train it again"
        )
    return own, cast(Denoiser, found)
