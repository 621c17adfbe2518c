"""What a run of several chains says of the modes: where they are and how much each holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from pdeinv.engines.base import Outcome
from pdeinv.engines.mcmc.modes import Modes
from pdeinv.typing import Array

__all__ = ["ModesFound", "modes_found"]

NEAR = 3.0
"""Standard deviations between what two searches call a minimum; two modes with a barrier of 2
between them are 4 apart at least."""


@dataclass(frozen=True)
class ModesFound:
    """The modes of a run.

    Attributes:
        dataset: the group ``modes`` of the result file.
        visited: the mode of each draw, shape (chain, draw).
        note: one clause for the verdict; empty where there is one mode.
    """

    dataset: xr.Dataset
    visited: Array
    note: str

    def told(self, outcome: Outcome, jump_rate: float | None = None) -> Outcome:
        """The outcome with the group ``modes``, their number and the jumps between them."""
        n = self.dataset.sizes["mode"]
        jumps = {} if n == 1 or jump_rate is None else {"jump_rate": jump_rate}
        summary = {"modes": float(n), **jumps}
        stats = {"mode": self.visited} if n > 1 else {}
        return replace(
            outcome,
            stats={**outcome.stats, **stats},
            summary={**outcome.summary, **summary},
            groups={**outcome.groups, "modes": self.dataset},
            note="; ".join(text for text in (outcome.note, self.note) if text),
        )


def modes_found(chains: Sequence[Modes], visited: Array) -> ModesFound | None:
    """The modes of all chains under common numbers; None where no chain searched.

    Args:
        chains: what each chain found.
        visited: the mode, by the chain's own number, of each draw, shape (chain, draw).
    """
    if not any(len(m.point) for m in chains):
        return None
    numbers, firsts = _numbered(chains)
    every = range(len(firsts))
    own = [np.asarray(n)[v] for n, v in zip(numbers, visited, strict=True)]
    share = np.array([[np.mean(v == k) for k in every] for v in own])
    known = np.array([[k in n for k in every] for n in numbers])
    at = [(chains[c], i) for c, i in firsts]
    dataset = xr.Dataset(
        {
            "xi": (("mode", "xi_dim"), np.stack([m.point[i] for m, i in at])),
            "objective": ("mode", [float(m.objective[i]) for m, i in at]),
            "log_evidence": ("mode", [float(m.log_evidence[i]) for m, i in at]),
            "searches": ("mode", [_hits(chains, numbers, k) for k in every]),
            "share": ("mode", share.mean(axis=0)),
            "share_by_chain": (("chain", "mode"), share),
            "known_to_chain": (("chain", "mode"), known.astype(np.int8)),
        }
    )
    missed = len(known) - int(known.all(axis=1).sum())
    return ModesFound(dataset, np.array(own), _note(share.mean(axis=0), missed, len(chains)))


def _numbered(chains: Sequence[Modes]) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """A common number for each mode of each chain, and who was the first to find it."""
    firsts, numbers = list[tuple[int, int]](), list[list[int]]()
    for c, modes in enumerate(chains):
        own = list[int]()
        for i, point in enumerate(modes.point):
            same = [k for k, (d, j) in enumerate(firsts) if _near(chains[d], j, point)]
            own.append(same[0] if same else len(firsts))
            if not same:
                firsts.append((c, i))
        numbers.append(own or [0])
    return numbers, firsts


def _near(modes: Modes, i: int, point: Array) -> bool:
    """Whether a minimum is minimum i, as far as two searches find the same one."""
    off = modes.reference(i).inverse_root(point - modes.point[i])
    return bool(off @ off <= NEAR**2)


def _hits(chains: Sequence[Modes], numbers: Sequence[Sequence[int]], k: int) -> int:
    """How many searches of all chains ended in mode k."""
    pairs = zip(chains, numbers, strict=True)
    return sum(int(m.hits[n.index(k)]) for m, n in pairs if k in n and len(m.hits))


def _note(share: Array, missed: int, n_chains: int) -> str:
    if len(share) == 1:
        return ""
    parts = ", ".join(f"{s:.2f}" for s in share)
    text = f"{len(share)} modes hold {parts} of the draws"
    return text if not missed else f"{text}; {missed} of {n_chains} chains do not know all of them"
