"""What an observation file says of the likelihood of its data, by attributes of their variable.

``likelihood = "bernoulli"`` or ``"dice"`` with ``likelihood_link`` and ``likelihood_weight``, and
of several masks ``likelihood_masks``, a whole number for each datum; without the first the data
have additive noise, which :mod:`pdeinv.io.observations` reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.bernoulli import Bernoulli, check_share
from pdeinv.bayes.dice import Dice
from pdeinv.bayes.likelihood import Likelihood
from pdeinv.bayes.parts import Parts
from pdeinv.errors import ConfigError, DataSchemaError

__all__ = ["likelihood_attrs", "said_likelihood"]

KIND, LINK, WEIGHT, MASKS = (f"likelihood{end}" for end in ("", "_link", "_weight", "_masks"))
KINDS = ("gaussian", "bernoulli", "dice")


def said_likelihood(
    variable: xr.DataArray, good: NDArray[np.bool_], path: Path
) -> Likelihood | None:
    """The likelihood of the good data that the file names; None for additive noise.

    Raises:
        DataSchemaError: no such likelihood, or a wrong option of it.
    """
    said = variable.attrs
    kind, where = said.get(KIND, KINDS[0]), f"{path}: '{variable.name}'"
    if kind not in KINDS:
        raise DataSchemaError(
            f"{where}: attribute {KIND} must be {', '.join(KINDS[:-1])} or {KINDS[-1]}, got "
            f"{kind!r}"
        )
    if kind == KINDS[0]:
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
        return {}
    options = {LINK: likelihood.link, WEIGHT: likelihood.weight}
    if isinstance(likelihood, Bernoulli):
        return {KIND: "bernoulli", **options}
    return {KIND: "dice", **options, MASKS: np.array(likelihood.masks)}
