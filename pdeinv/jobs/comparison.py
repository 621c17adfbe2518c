"""Two models at the same draws: errors, errors in units of the noise, misfit differences.

What is said of them: figures, worst cases, and a file with all numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.surrogate_limits import ALONE_SD, REJECT_SD, WARN_SD
from pdeinv.model.observed import Sensors
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.surrogate import Surrogate
from pdeinv.typing import Array

__all__ = ["Comparison", "Region", "summary", "to_tree"]


N_WORST = 3


@dataclass(frozen=True)
class Region:
    """Both models at draws of one kind; failed solves are rows of NaN.

    Attributes:
        name: ``prior`` or ``posterior``.
        xi: shape (n, dim).
        reference: shape (n, n_obs).
        predicted: shape (n, n_obs).
        failures: by row, empty where both models gave numbers.
    """

    name: str
    xi: Array
    reference: Array
    predicted: Array
    failures: tuple[str, ...]

    @property
    def good(self) -> NDArray[np.bool_]:
        """The rows in which both models gave numbers."""
        return np.array([not text for text in self.failures])

    @property
    def error(self) -> Array:
        """Surrogate minus reference, shape (n, n_obs)."""
        return self.predicted - self.reference

    def relative_l2(self) -> Array:
        """‖error‖ by row over the typical ‖u - mean‖ of the reference at these draws."""
        known = self.reference[self.good]
        square = np.sum((known - known.mean(axis=0)) ** 2, axis=1) if len(known) else np.zeros(1)
        size = max(float(np.sqrt(square.mean())), 1e-300)
        return np.asarray(np.linalg.norm(self.error, axis=1) / size)

    def rms_over_sigma(self, noise: Noise) -> Array:
        """The rms error in units of the noise by row."""
        return np.sqrt(np.mean(noise.whiten(self.error) ** 2, axis=1))

    def misfit_difference(self, noise: Noise, data: Array) -> Array:
        """Φ of the surrogate minus Φ of the reference by row."""
        return noise.misfit(self.predicted, data) - noise.misfit(self.reference, data)


@dataclass(frozen=True)
class Comparison:
    """All that was found.

    Attributes:
        surrogate: what was examined.
        problem: what it stands for.
        sensors: where the data are.
        noise: what errors are weighed against.
        data: the data of the misfits, shape (n_obs,).
        sources: where noise and data came from, in words.
        regions: the draws with both models' values, prior draws first.
        seconds: CPU time of one evaluation: ``reference``, ``surrogate``, ``surrogate_batched``.
    """

    surrogate: Surrogate
    problem: Problem
    sensors: Sensors
    noise: Noise
    data: Array
    sources: Mapping[str, str]
    regions: tuple[Region, ...]
    seconds: Mapping[str, float]


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
        "verdict": _verdict(found),
    }


def _verdict(found: Comparison) -> str:
    """What an inversion with it would give, by the draws of the posterior.

    To first order the surrogate's posterior has the mean of xi_i off by -cov(xi_i, ΔΦ), at most
    sd(ΔΦ) standard deviations.
    """
    region = next((r for r in found.regions if r.name == "posterior"), None)
    if region is None:
        return "none: prior draws do not tell what an inversion gives; pass --obs or --around"
    figures = _errors(found, region)
    sd, failed = figures.get("misfit_difference_sd", np.nan), figures["failed"]
    more = f"; {failed} of {figures['n']} draws could not be solved" if failed else ""
    said = f"sd of the misfit difference {sd:.2g} on posterior draws"
    if not sd <= REJECT_SD:
        return (
            f"refused: {said}, at most {REJECT_SD:g} can work; an inversion with it is wrong: "
            f"train it on draws around a posterior ('generate --around RESULT'){more}"
        )
    if sd > WARN_SD:
        return f"weak: {said}; two-level works slowly with it, alone it is wrong{more}"
    if sd > ALONE_SD:
        return f"good for two-level: {said}; alone, means are off by up to {sd:.2g} sd{more}"
    return f"good: {said}; two-level and inversions with it alone may trust it{more}"


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
