"""White draws of a design: independent, Latin hypercube or Sobol points, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri

from pdeinv.errors import ConfigError
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["Sampling", "white_draws"]

Sampling = Literal["prior", "lhs", "sobol"]
"""Independent draws, a Latin hypercube of all n samples, or a scrambled Sobol sequence."""

SOBOL_BITS = 30
SOBOL_DIM = 21201


def white_draws(sampling: Sampling, seed: int, n: int, rows: Sequence[int], dim: int) -> Array:
    """Samples ``rows`` of n points whose margins are standard normal, shape (len(rows), dim).

    Independent and Sobol points depend on the seed and their number alone, so that n may grow; a
    Latin hypercube (McKay, Beckman and Conover 1979) is a design of exactly n points. The Sobol
    sequence (Sobol 1967; scrambled as by Matousek 1998) and the hypercube reach the normal
    distribution through its quantile function.

    Raises:
        ConfigError: more dimensions than the Sobol sequence has.
    """
    if sampling == "prior":
        return np.stack([stream(seed, "sample", i).standard_normal(dim) for i in rows])
    if sampling == "lhs":
        return np.asarray(ndtri(_hypercube(seed, n, dim)[list(rows)]))
    return np.concatenate([_sobol(seed, i, dim) for i in rows])


@lru_cache(maxsize=1)
def _hypercube(seed: int, n: int, dim: int) -> Array:
    """All n points in the unit cube; kept, since every batch needs some of them."""
    from scipy.stats import qmc

    return np.asarray(qmc.LatinHypercube(dim, rng=stream(seed, "hypercube")).random(n))


@lru_cache(maxsize=1)
def _sequence(seed: int, dim: int) -> Any:
    from scipy.stats import qmc

    if dim > SOBOL_DIM:
        raise ConfigError(
            f"--design sobol has {SOBOL_DIM} dimensions, the problem has {dim} unknowns; use "
            "prior or lhs"
        )
    return qmc.Sobol(dim, bits=SOBOL_BITS, rng=stream(seed, "sobol"))


def _sobol(seed: int, i: int, dim: int) -> Array:
    """Point ``i`` of the sequence, shape (1, dim).

    Points lie on a lattice that contains 0; half a cell is added so that the quantile is finite.
    """
    engine = _sequence(seed, dim)
    if engine.num_generated > i:
        engine.reset()
    if engine.num_generated < i:
        engine.fast_forward(i - engine.num_generated)
    return np.asarray(ndtri(engine.random(1) + 0.5 ** (SOBOL_BITS + 1)))
