"""Products of the derivative with probes, by whichever solves are fewer."""

from __future__ import annotations

import numpy as np

from pdeinv.model.forward import Capability, Linearization, RowsLinearization
from pdeinv.typing import Array

__all__ = ["actions", "actions_of_rows"]


def actions(at: Linearization, probes: Array, n_obs: int, offered: frozenset[Capability]) -> Array:
    """J v for each row v of ``probes``, shape (k, n_obs), by whichever solves are fewer.

    Args:
        at: the derivative J; its first ``n_obs`` rows are those of the sensors.
        probes: shape (k, dim).
        n_obs: how many rows are wanted.
        offered: JVP, VJP or both.
    """
    if _by_adjoints(len(probes), n_obs, offered):
        rows = np.stack([at.vjp(w) for w in np.eye(n_obs, len(at.value))])
        return np.asarray(probes @ rows.T)
    return np.stack([at.jvp(v)[:n_obs] for v in probes])


def _by_adjoints(n_probes: int, n_obs: int, offered: frozenset[Capability]) -> bool:
    """Whether adjoint actions of the data are fewer than tangents of the probes, or all."""
    fewer = Capability.JVP not in offered or n_obs < n_probes
    return fewer and Capability.VJP in offered


def actions_of_rows(
    at: RowsLinearization, probes: Array, n_obs: int, offered: frozenset[Capability]
) -> Array:
    """The same for all samples at once, (n, k, n_obs) for probes (n, k, dim)."""
    n, k, _ = probes.shape
    if _by_adjoints(k, n_obs, offered):
        units = np.eye(n_obs, at.values.shape[1])
        rows = np.stack([at.vjp(np.tile(w, (n, 1))) for w in units], axis=1)
        return np.stack([p @ r.T for p, r in zip(probes, rows, strict=True)])
    each = [at.jvp(np.ascontiguousarray(probes[:, j]))[:, :n_obs] for j in range(k)]
    return np.stack(each, axis=1)
