"""The fine model's linearization about a point as a coarse model: no solves, microseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.bayes.posterior import WhitenedModel, xi_space
from pdeinv.errors import CapabilityError
from pdeinv.model.forward import Capability, LinearModel
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from ..common.storage import under, within

__all__ = ["TangentPlane"]


@dataclass(frozen=True)
class TangentPlane:
    """G(a) + J (xi - a).

    Attributes:
        point: a, shape (dim,).
        value: G(a), shape (n_obs,).
        jacobian: J, shape (n_obs, dim).
    """

    point: Array
    value: Array
    jacobian: Array

    @classmethod
    def at(cls, model: WhitenedModel, point: Array) -> TangentPlane:
        """By adjoint actions or directional derivatives, whichever are fewer.

        Raises:
            CapabilityError: the model has no derivative.
        """
        n, dim = model.d_space.size, len(point)
        has_jvp, has_vjp = (c in model.capabilities for c in (Capability.JVP, Capability.VJP))
        if not (has_jvp or has_vjp):
            raise CapabilityError(
                'coarse = "linear" needs derivatives, which this unknown does not have; use '
                'coarse = "level"'
            )
        at = model.linearize(point)
        if has_vjp and (n <= dim or not has_jvp):
            jacobian = np.stack([at.vjp(e) for e in np.eye(n)])
        else:
            jacobian = np.stack([at.jvp(e) for e in np.eye(dim)], axis=1)
        return cls(point, at.value, jacobian)

    def model(self, d_space: Space) -> LinearModel:
        """The plane as a forward model on xi."""
        offset = self.value - self.jacobian @ self.point
        return LinearModel(xi_space(len(self.point)), d_space, self.jacobian, offset, "surrogate")

    def arrays(self) -> dict[str, Array]:
        """All numbers, for storage."""
        return under("plane_", vars(self))

    @classmethod
    def from_arrays(cls, a: Mapping[str, Any]) -> TangentPlane | None:
        """The inverse of :meth:`arrays`; None where there is none."""
        own = within("plane_", a)
        return cls(**own) if own else None
