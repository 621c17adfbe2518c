"""Draws against an exact posterior: bias, widths, and weights of modes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdeinv.typing import Array

from .laws import Oracle

WIDEST = 8
BIAS, RATIO, WEIGHT = 0.1, (0.9, 1.1), 0.07
"""What an engine that claims a posterior must meet."""


class Yardstick:
    """The exact posterior of an oracle on the grid.

    Args:
        oracle: whose it is.
    """

    def __init__(self, oracle: Oracle) -> None:
        self.oracle, case = oracle, oracle.case
        self.root = oracle.field(np.eye(oracle.n**2)).T
        within = self.root @ case.covariance @ self.root.T
        self.mean = case.weights @ case.means
        away = np.sqrt(case.weights)[:, None] * oracle.field(case.means - self.mean)
        whole = within + away.T @ away
        self.within, self.point = (np.sqrt(np.diag(c)) for c in (within, whole))
        values, vectors = np.linalg.eigh(whole)
        self.widths, self.widest = np.sqrt(values[-WIDEST:]), vectors[:, -WIDEST:]
        seen = oracle.matrix @ case.covariance @ oracle.matrix.T
        self.fitted = float(np.mean(np.diag(seen)))

    def row(self, xi: Array) -> dict[str, Any]:
        """Figures of draws, shape (rows, n²)."""
        oracle, case = self.oracle, self.oracle.case
        fields, n = oracle.field(xi), len(xi)
        off = (fields.mean(axis=0) - oracle.field(self.mean[None])[0]) / self.point
        side = (xi @ oracle.unseen > 0).astype(int) if len(case.weights) == 2 else np.zeros(n, int)
        modes = [fields[side == k] for k in range(len(case.weights))]
        data = xi @ oracle.matrix.T
        return {
            "bias": float(np.sqrt(max(0.0, float(np.mean(off**2)) - 1 / n))),
            "pointwise": float(np.mean(fields.std(axis=0, ddof=1) / self.point)),
            "widest": float(np.mean((fields @ self.widest).std(axis=0, ddof=1) / self.widths)),
            "fitted": float(np.sqrt(np.mean(data.var(axis=0, ddof=1)) / self.fitted)),
            "modes": [
                float(np.mean(m.std(axis=0, ddof=1) / self.within)) if len(m) > 2 else None
                for m in modes
            ],
            "weight": float(np.mean(side == 0)),
            "weight_exact": float(case.weights[0]),
        }


def missed(row: dict[str, Any]) -> list[str]:
    """Which of the criteria of a posterior a row misses."""
    ratios = {k: row[k] for k in ("pointwise", "widest", "fitted")}
    ratios |= {f"mode {k}": r or 0.0 for k, r in enumerate(row["modes"])}
    found = [k for k, r in ratios.items() if not RATIO[0] <= r <= RATIO[1]]
    found += ["bias"] if row["bias"] > BIAS else []
    return found + (["weight"] if abs(row["weight"] - row["weight_exact"]) > WEIGHT else [])
