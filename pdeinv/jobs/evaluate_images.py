"""A trained inverse of images on fresh draws of the prior: errors in the body, bands, odd data."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pdeinv.bayes.bands import coverage, image_errors
from pdeinv.bayes.likeness import UNLIKE
from pdeinv.jobs.evaluate_inverse import (
    NARROW,
    Fresh,
    Told,
    examination_rows,
    examination_summary,
    examine,
)
from pdeinv.model.learned import Estimate, Role
from pdeinv.plugins import hooks
from pdeinv.typing import Array

__all__ = ["told", "verdict"]

BETTER = 0.9
"""Share of the error of the best constant image above which an estimate says little."""


def told(at: Fresh) -> Told:
    """Figures and numbers of an inverse, of ξ or of images.

    Raises:
        CapabilityError: it estimates the unknown itself.
    """
    if at.bound.of == "grid":
        return _of_images(at)
    found = examine(at)
    return Told(examination_summary(found), examination_rows(found))


def _of_images(at: Fresh) -> Told:
    truth, inside = _truth(at)
    found = at.found
    body = Estimate(found.mean[:, inside], found.std[:, inside])
    errors = image_errors(body.mean, truth[:, inside])
    constant = {
        "mean": _of_one(truth.mean(axis=0), truth, inside),
        "median": _of_one(np.median(truth, axis=0), truth, inside),
    }
    covered = coverage(body, truth[:, inside])
    figures: dict[str, Any] = {
        "surrogate": at.surrogate.metadata["surrogate"],
        "role": str(Role.INVERSE),
        "problem": at.there.problem.name,
        "n": len(truth),
        "failed": at.failed,
        "data": at.data.shape[1],
        **errors,
        **{f"{k}_of_{name}": v for name, found in constant.items() for k, v in found.items()},
        "coverage_90": covered,
    }
    if found.likeness is not None:
        figures["flagged"] = float(np.mean(found.likeness < UNLIKE))
    return Told({**figures, "verdict": verdict(errors, constant, covered)}, _dataset(at, truth))


def _truth(at: Fresh) -> tuple[Array, Any]:
    """Images of the draws, flat, and which nodes lie in the body."""
    (image,), problem = at.bound.space.variables, at.there.problem
    truth = np.stack([hooks.on_grid(problem, m, image.shape).ravel()
                      for m in at.there.prior.unwhiten(at.xi)])  # fmt: skip
    order = [a for a in "xyz" if a in image.coords]
    places = image.places[:, [order.index(a) for a in problem.axes]]
    return truth, hooks.mask(problem, places)


def _of_one(image: Array, truth: Array, inside: Any) -> dict[str, float]:
    """Errors of the same image for all data."""
    return image_errors(np.tile(image, (len(truth), 1))[:, inside], truth[:, inside])


def verdict(errors: dict[str, float], constant: dict[str, dict[str, float]], covered: float) -> str:
    """In words, beside the mean and the median of these very images, which know no data."""
    mean, median = constant["mean"], constant["median"]
    said = (
        f"median relative error {errors['image_l1']:.2g} (L1) and {errors['image_l2']:.2g} (L2) "
        f"where the mean image has {mean['image_l1']:.2g} and {mean['image_l2']:.2g}, the median "
        f"image {median['image_l1']:.2g} and {median['image_l2']:.2g}"
    )
    more = "train on more samples, or longer"
    norms = {"L1": "image_l1", "L2": "image_l2"}
    best = {name: min(mean[key], median[key]) for name, key in norms.items()}
    worse = [name for name, key in norms.items() if errors[key] >= best[name]]
    if worse:
        where = " and ".join(worse)
        return f"weak: no better in {where} than an image that knows no data: {said}; {more}"
    if any(errors[key] > BETTER * best[name] for name, key in norms.items()):
        return f"weak: {said}; {more}"
    if covered < NARROW:
        return f"narrow: bands of 90 % hold {covered:.0%}, {said}; train on draws like these"
    return f"good: {said}; bands of 90 % hold {covered:.0%}"


def _dataset(at: Fresh, truth: Array) -> xr.Dataset:
    """Truths and estimates on the grid."""
    (image,) = at.bound.space.variables
    parts = {"truth": truth, "mean": at.found.mean, "std": at.found.std}
    words = {"truth": "coefficient that made the data", "mean": "its estimate",
             "std": "standard deviation of the estimate"}  # fmt: skip
    found = {
        k: image.to_xarray(v, ("sample",)).rename(k).assign_attrs(long_name=words[k])
        for k, v in parts.items()
    }
    if at.found.likeness is not None:
        found["likeness"] = xr.DataArray(at.found.likeness, dims="sample", attrs={
            "units": "1", "long_name": "share of held-out data that are as odd, or odder",
        })  # fmt: skip
    return xr.Dataset(found)
