"""Which entry belongs to which unknown."""

from __future__ import annotations

from pdeinv.errors import ConfigError
from pdeinv.fem.field_unknown import FieldUnknown

from .coefficients import Conductivity, HeatTransfer
from .discrete import HeatDiscretisation
from .entries import Entry, InitialState, SideFlux, SourceField
from .point_sources import PointSources

__all__ = ["ENTRIES", "entry_of"]

ENTRIES: dict[str, type[Entry]] = {
    "initial-state": InitialState,
    "source": SourceField,
    "conductivity": Conductivity,
    "point-sources": PointSources,
    "robin": HeatTransfer,
    "flux": SideFlux,
}


def entry_of(discretisation: HeatDiscretisation, unknown: FieldUnknown) -> Entry:
    """The entry of the configured unknown, bound to a discretisation.

    Raises:
        ConfigError: the configuration contradicts itself (a flux through a Dirichlet side, say).
    """
    kind = discretisation.config.unknown.kind
    if kind not in ENTRIES:
        raise ConfigError(f"unknown kind '{kind}' has no entry; known: {', '.join(ENTRIES)}")
    return ENTRIES[kind](discretisation, unknown)
