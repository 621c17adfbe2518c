"""The figures of each component of a result, each named by its place, the worst first."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pdeinv.model.places import places

__all__ = ["component_rows"]

FIGURES = ("r_hat", "ess_bulk", "ess_tail", "mcse")


def component_rows(tree: xr.DataTree) -> list[dict[str, Any]]:
    """One row for each xi and each judged place of the unknown; none without such a group.

    Those whose R-hat is not known come first, then the largest R-hat, then the fewest draws.
    """
    if "diagnostics" not in tree.children:
        return []
    group = tree["diagnostics"].to_dataset().load()
    names = [str(v).removesuffix("_r_hat") for v in group if str(v).endswith("_r_hat")]
    rows = [row for name in names for row in _rows(group, name)]
    return sorted(rows, key=_badness)


def _rows(group: xr.Dataset, name: str) -> list[dict[str, Any]]:
    where = group[f"{name}_r_hat"].rename(name)
    told = {f: group[f"{name}_{f}"].values.ravel() for f in FIGURES if f"{name}_{f}" in group}
    return [
        {"component": text, **{f: _plain(told[f][i]) if f in told else None for f in FIGURES}}
        for i, text in enumerate(places(where))
    ]


def _plain(value: Any) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _badness(row: dict[str, Any]) -> tuple[float, float]:
    r_hat, ess = row["r_hat"], row["ess_bulk"]
    return (-np.inf if r_hat is None else -r_hat, 0.0 if ess is None else ess)
