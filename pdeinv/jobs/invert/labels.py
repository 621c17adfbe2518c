"""Units and names in words of what results hold besides the unknown and the data.

What an engine says itself goes before; all else in its groups is a number without dimension.
"""

from __future__ import annotations

import xarray as xr

__all__ = ["labelled"]

TEXTS = {
    "chain": "number of the chain",
    "draw": "number of the draw in its chain",
    "obs": "number of the datum",
    "x": "x coordinate",
    "y": "y coordinate",
    "z": "z coordinate",
    "t": "time",
    "misfit": "misfit, half the deviance; of additive noise half the squared distance in its norm",
    "coarse_misfit": "misfit of the surrogate",
    "mean_misfit": "misfit, averaged over the ensemble",
    "lp": "natural log of the posterior density of xi, up to a constant",
    "acceptance_rate": "share of proposals that the chain has accepted",
    "diverging": "1 where the energy of a path was lost",
    "n_steps": "leapfrog steps of the path",
    "mode": "number of the mode nearest to the draw",
    "objective": "misfit plus prior cost",
    "log_evidence": "natural log of the mass of the Gaussian around the point",
    "mass": "share of the mass of all minima, in the Gaussian approximation",
    "searches": "how many searches ended here",
    "simulation": "number of the simulation",
    "score": "objective by which the simulation was chosen",
    "share": "share of the draws",
    "share_by_chain": "share of the draws of each chain",
    "known_to_chain": "1 where the searches of the chain found the mode",
    "xi": "whitened unknown",
    "xi_map": "whitened unknown of the most probable point",
    "xi_mean": "mean of the whitened unknown",
    "eigenvalue": "eigenvalue of the misfit's Hessian in xi",
    "eigenvector": "eigenvector of the misfit's Hessian in xi",
    "kl_divergence": "Kullback-Leibler divergence from the prior",
    "weight": "weight of the penalty",
    "decrement": "Newton decrement",
    "replaced": "members that were replaced since their solves failed",
    "misfit_r_hat": "R-hat of the misfit",
    "noise_std": "standard deviation of the noise",
}
"""By name; other names are read as words."""


def labelled(group: xr.Dataset) -> xr.Dataset:
    """The group with units and a long name on every variable and coordinate."""
    group = group.copy()
    for name, variable in group.variables.items():
        words = TEXTS.get(str(name), str(name).replace("_", " "))
        held = {k: v for k, v in variable.attrs.items() if v is not None}
        group[name].attrs = {"units": "1", "long_name": words, **held}
    return group
