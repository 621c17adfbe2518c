"""Numbers that are solved for beside u, free of their bounds: the logistic function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pdeinv.model.strong_form import Number
from pdeinv.typing import Array

from ..common.torch_env import torch

__all__ = ["slopes_of", "start_of", "values_of"]


def start_of(numbers: Sequence[Number]) -> Array:
    """ν of the starts."""
    shares = np.array([(n.start - n.low) / (n.high - n.low) for n in numbers])
    return np.asarray(np.log(shares / (1.0 - shares)))


def values_of(numbers: Sequence[Number], nu: Any) -> dict[str, Any]:
    """low + (high − low) σ(ν) of a tensor ν, by name, each (1, 1)."""
    return {
        n.name: (n.low + (n.high - n.low) * torch.sigmoid(one)).view(1, 1)
        for n, one in zip(numbers, nu, strict=True)
    }


def slopes_of(numbers: Sequence[Number], nu: Array) -> Array:
    """The derivatives of the values by their ν."""
    share = 1.0 / (1.0 + np.exp(-nu))
    widths = np.array([n.high - n.low for n in numbers])
    return np.asarray(widths * share * (1.0 - share))
