"""What an observation file says of the likelihood of its data, by attributes of their variable.

``likelihood = "bernoulli"`` or ``"dice"`` with ``likelihood_link`` and ``likelihood_weight``, and
of several masks ``likelihood_masks``, a whole number for each datum; without the first the data
have additive noise, which :mod:`pdeinv.io.observations` reads. Of traces in time such data may be
compared by ``likelihood = "sobolev"``, ``"envelope"`` or ``"correlation"`` with
``likelihood_power``, ``likelihood_corner``, ``likelihood_above``, ``likelihood_below`` and
``likelihood_order``, the keys of :class:`pdeinv.bayes.misfits.MisfitConfig`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.bernoulli import Bernoulli, check_share
from pdeinv.bayes.causal import Causal
from pdeinv.bayes.correlation import Correlation
from pdeinv.bayes.dice import Dice
from pdeinv.bayes.envelope import Envelope
from pdeinv.bayes.likelihood import Likelihood
from pdeinv.bayes.misfits import MISFITS, MisfitConfig
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.parts import Parts
from pdeinv.bayes.passband import InBand
from pdeinv.bayes.sobolev import Sobolev
from pdeinv.config import parse
from pdeinv.errors import ConfigError, DataSchemaError

__all__ = ["likelihood_attrs", "said_likelihood", "said_misfit"]

KIND, LINK, WEIGHT, MASKS = (f"likelihood{end}" for end in ("", "_link", "_weight", "_masks"))
KINDS = ("gaussian", "bernoulli", "dice")
ALONG = tuple(f"likelihood_{key}" for key in MisfitConfig.model_fields if key != "kind")


def said_likelihood(
    variable: xr.DataArray, good: NDArray[np.bool_], path: Path
) -> Likelihood | None:
    """The likelihood of the good data that the file names; None for additive noise.

    Raises:
        DataSchemaError: no such likelihood, or a wrong option of it.
    """
    said = variable.attrs
    kind, where = said.get(KIND, KINDS[0]), f"{path}: '{variable.name}'"
    known = (*KINDS, *MISFITS[1:])
    if kind not in known:
        raise DataSchemaError(
            f"{where}: attribute {KIND} must be {', '.join(known[:-1])} or {known[-1]}, got "
            f"{kind!r}"
        )
    if kind == KINDS[0] or kind in MISFITS:
        return None
    weight = said.get(WEIGHT, 1.0)
    if not isinstance(weight, int | float | np.number):
        raise DataSchemaError(f"{where}: attribute {WEIGHT} must be a number, got {weight!r}")
    options = str(said.get(LINK, "logit")), float(weight)
    try:
        if kind == "bernoulli":
            made = Bernoulli(int(good.sum()), *options)
            check_share(made.weight)
            return made
        return Dice(_masks(said.get(MASKS), good, where), *options)
    except ConfigError as error:
        raise DataSchemaError(f"{where}: {error}") from None


def said_misfit(variable: xr.DataArray, path: Path) -> MisfitConfig:
    """How the file wants data with additive noise to be compared along their time.

    Raises:
        DataSchemaError: a wrong option.
    """
    said = variable.attrs
    options = {key.removeprefix(f"{KIND}_"): said[key] for key in ALONG if key in said}
    kind = said.get(KIND, KINDS[0])
    table = {"kind": MISFITS[0] if kind == KINDS[0] else kind, **options} if options else {}
    if kind in MISFITS[1:]:
        table = {"kind": kind, **options}
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in table.items()}
    try:
        return parse(MisfitConfig, plain, KIND)
    except ConfigError as error:
        raise DataSchemaError(f"{path}: '{variable.name}': {error}") from None


def _masks(said: Any, good: NDArray[np.bool_], where: str) -> tuple[int, ...]:
    """The mask of each good datum; all are of one where nothing is said."""
    masks = np.zeros(len(good)) if said is None else np.atleast_1d(said)
    whole = np.issubdtype(masks.dtype, np.number) and bool(np.all(masks == np.round(masks)))
    if masks.shape != good.shape or not whole:
        raise DataSchemaError(
            f"{where}: attribute {MASKS} must be {len(good)} whole numbers, one for each datum"
        )
    return tuple(int(k) for k in masks[good])


def likelihood_attrs(likelihood: Likelihood) -> dict[str, Any]:
    """The same attributes; none for additive noise."""
    if isinstance(likelihood, Parts):  # for people: its problem knows which parts
        each = [likelihood_attrs(p) for p in likelihood.laws]
        kinds = " and ".join(said.get(KIND, KINDS[0]) for said in each)
        link = next((said[LINK] for said in each if LINK in said), None)
        return {KIND: kinds} if link is None else {KIND: kinds, LINK: link}
    if not isinstance(likelihood, Bernoulli | Dice):
        return _misfit_attrs(likelihood)
    options = {LINK: likelihood.link, WEIGHT: likelihood.weight}
    if isinstance(likelihood, Bernoulli):
        return {KIND: "bernoulli", **options}
    return {KIND: "dice", **options, MASKS: np.array(likelihood.masks)}


def _misfit_attrs(law: Likelihood) -> dict[str, Any]:
    """Those of a misfit of traces; none of plain noise."""
    match law:
        case Envelope():
            return {KIND: "envelope", **_band_attrs(law.filter)}
        case Correlation():
            return {KIND: "correlation", **_band_attrs(law.filter)}
        case Noise(along=InBand() as band):
            return {KIND: KINDS[0], **_misfit_attrs(band.noise), **_band_attrs(band.filter)}
        case Noise(along=Sobolev() as along):
            options = {f"{KIND}_power": along.power, f"{KIND}_corner": along.corner}
            return {KIND: "sobolev", **options}
    return {}


def _band_attrs(filter: Causal) -> dict[str, Any]:
    corners = {f"{KIND}_above": filter.above, f"{KIND}_below": filter.below}
    given = {key: value for key, value in corners.items() if value is not None}
    return {**given, f"{KIND}_order": filter.order} if given else {}
