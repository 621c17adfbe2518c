"""What a comparison of surrogate and reference says: figures, worst cases, a file, a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.jobs.evaluate.comparison import Comparison, Region
from pdeinv.jobs.plot.figure import draw
from pdeinv.jobs.plot.panels import BLUE, GREY, Panel
from pdeinv.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["figure", "summary", "to_tree"]

N_WORST = 3
COLOURS = {"prior": GREY, "posterior": BLUE}


def summary(found: Comparison) -> dict[str, Any]:
    """The figures as JSON data: errors by region, speed, worst cases."""
    seconds = dict(found.seconds)
    ratios = {
        name.replace("surrogate", "speed_ratio"): seconds["reference"] / value
        for name, value in seconds.items()
        if name != "reference"
    }
    return {
        "surrogate": found.surrogate.metadata["surrogate"],
        "problem": found.problem.name,
        "noise_from": found.sources["noise"],
        "data_from": found.sources["data"],
        "data": len(found.data),
        "regions": {r.name: _errors(found, r) for r in found.regions},
        "cpu_seconds": seconds,
        **ratios,
        "worst": worst(found),
    }


def _errors(found: Comparison, region: Region) -> dict[str, Any]:
    good = region.good
    relative, rms = region.relative_l2()[good], region.rms_over_sigma(found.noise)[good]
    difference = region.misfit_difference(found.noise, found.data)[good]
    figures = {
        "n": len(region.xi),
        "failed": int(np.logical_not(good).sum()),
        "outside_training_range": _outside(found.surrogate.metadata, region.xi),
    }
    if len(difference) < 2:
        return figures
    return figures | {
        "relative_l2": float(relative.mean()),
        "relative_l2_max": float(relative.max()),
        "rms_over_sigma": float(np.sqrt(np.mean(rms**2))),
        "rms_over_sigma_max": float(rms.max()),
        "misfit_difference_mean": float(difference.mean()),
        "misfit_difference_sd": float(difference.std(ddof=1)),
        "misfit_difference_median_abs": float(np.median(np.abs(difference))),
    }


def _outside(metadata: Mapping[str, Any], xi: Array) -> float:
    """The share of draws with a component beyond the trained interval."""
    low, high = (np.asarray(metadata["range"][end], dtype=np.float64) for end in ("low", "high"))
    return float(((xi < low) | (xi > high)).any(axis=1).mean())


def worst(found: Comparison) -> list[dict[str, Any]]:
    """The draws with the largest rms error in units of the noise, with their xi."""
    rows = []
    for region in found.regions:
        rms, relative = region.rms_over_sigma(found.noise), region.relative_l2()
        order = np.argsort(np.where(region.good, -rms, np.inf))[: min(N_WORST, region.good.sum())]
        rows += [
            {
                "region": region.name,
                "sample": int(i),
                "rms_over_sigma": float(rms[i]),
                "relative_l2": float(relative[i]),
                "xi_norm": float(np.linalg.norm(region.xi[i])),
                "xi": region.xi[i].tolist(),
            }
            for i in order
        ]
    return rows


def to_tree(found: Comparison, attrs: Mapping[str, Any]) -> xr.DataTree:
    """All numbers: one group per region, the root with the sensors, the data and their noise."""
    observed = found.problem.observed
    sensors = {
        c: xr.Variable("obs", np.asarray(found.sensors[c]), {"units": units, "long_name": c})
        for c, units in observed.coords.items()
    }
    root = xr.Dataset(
        {
            "data": xr.Variable(
                "obs", found.data, {"units": observed.units, "long_name": "data of the misfit"}
            ),
            "noise_std": xr.Variable(
                "obs", found.noise.std, {"units": observed.units, "long_name": "noise"}
            ),
        },
        sensors,
        {**attrs, "pdeinv_kind": "evaluation", "pdeinv_problem": found.problem.name},
    )
    groups = {region.name: _group(found, region) for region in found.regions}
    return xr.DataTree.from_dict({"/": root, **groups})


def _group(found: Comparison, region: Region) -> xr.Dataset:
    units, text = found.problem.observed.units, found.problem.observed.long_name

    def by_row(values: Array, long_name: str) -> xr.Variable:
        return xr.Variable("sample", values, {"units": "1", "long_name": long_name})

    def by_datum(values: Array, long_name: str) -> xr.Variable:
        return xr.Variable(("sample", "obs"), values, {"units": units, "long_name": long_name})

    reasons = np.array(region.failures, dtype=object)
    return xr.Dataset(
        {
            "xi": xr.Variable(
                ("sample", "xi_dim"), region.xi, {"units": "1", "long_name": "whitened unknown"}
            ),
            "reference": by_datum(region.reference, f"{text}, reference model"),
            "predicted": by_datum(region.predicted, f"{text}, surrogate"),
            "error": by_datum(region.error, "surrogate minus reference"),
            "relative_l2": by_row(region.relative_l2(), "relative error"),
            "rms_over_sigma": by_row(region.rms_over_sigma(found.noise), "rms error over noise"),
            "misfit_difference": by_row(
                region.misfit_difference(found.noise, found.data), "misfit difference"
            ),
            "failure": xr.Variable("sample", reasons, {"long_name": "why a solve failed"}),
        }
    )


def figure(found: Comparison, out: Path, dpi: int = 150) -> None:
    """Draw predicted against true data, the errors by draw, and the misfit differences.

    The name must end as :func:`pdeinv.jobs.plot.figure.check_suffix` wants it.
    """
    draw([_agreement(found), _error_by_draw(found), _differences(found)], out, dpi)


def _agreement(found: Comparison) -> Panel:
    observed = found.problem.observed

    def panel(ax: Axes) -> None:
        for region in found.regions:
            good = region.good
            true, guessed = region.reference[good].ravel(), region.predicted[good].ravel()
            ax.plot(true, guessed, ".", ms=2, color=COLOURS[region.name], label=region.name)
        values = np.concatenate([r.reference.ravel() for r in found.regions])
        ends = [np.nanmin(values), np.nanmax(values)]
        ax.plot(ends, ends, color="black", lw=0.6)
        unit = "" if observed.units == "1" else f" ({observed.units})"
        ax.set(xlabel=f"{observed.name}{unit}, reference", ylabel="surrogate", title="data")
        ax.legend(frameon=False)

    return panel


def _error_by_draw(found: Comparison) -> Panel:
    def panel(ax: Axes) -> None:
        for region in found.regions:
            norm = np.linalg.norm(region.xi, axis=1)
            rms = region.rms_over_sigma(found.noise)
            ax.plot(norm, rms, ".", color=COLOURS[region.name], label=region.name)
        ax.axhline(1.0, color="black", lw=0.6)
        ax.set_yscale("log")
        ax.set(xlabel="‖ξ‖", ylabel="rms error / σ", title="error of each draw")

    return panel


def _differences(found: Comparison) -> Panel:
    def panel(ax: Axes) -> None:
        for region in found.regions:
            values = region.misfit_difference(found.noise, found.data)[region.good]
            values = np.sort(np.abs(values))
            share = np.arange(1, len(values) + 1) / max(1, len(values))
            ax.step(np.maximum(values, 1e-12), share, where="post", color=COLOURS[region.name])
        ax.set_xscale("log")
        ax.axvline(1.0, color="black", lw=0.6)
        ax.set(
            xlabel="|misfit difference|", ylabel="share of draws", title="what an inversion sees"
        )

    return panel
