"""The depths of interfaces, which follow from the thicknesses of layers."""

from __future__ import annotations

import numpy as np

from pdeinv.model.derived import Derived
from pdeinv.model.spaces import Space, Variable

from .config import SeismicConfig
from .unknown_config import LayersConfig

__all__ = ["derived_of"]


def derived_of(config: SeismicConfig) -> Derived | None:
    """The depth of each interface; None where there are no layers."""
    kind = config.unknown
    if not isinstance(kind, LayersConfig):
        return None
    n = len(kind.thicknesses)
    coords = {"interface": (("interface",), np.arange(1.0, n + 1))}
    attrs = {"interface": {"units": "1", "long_name": "number of the interface from the top"}}
    depth = Variable("depth", ("interface",), (n,), "m", "depth of the interface", coords, attrs)
    return Derived(Space((depth,)), lambda m: np.cumsum(m[:n]))
