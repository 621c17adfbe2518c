"""What is odd about data or mesh before anything is solved."""

from __future__ import annotations

import numpy as np

from pdeinv.io.observations import Observations

from .band import LOWEST, share_in_band
from .config import SeismicConfig
from .resolution import ENOUGH, HIGHEST, points_per_wavelength
from .survey import COORDS

__all__ = ["remarks"]

SHARE = 0.3
"""Of the energy of data, which lies in the wavelet's band even in the presence of noise."""
NEAR = 3.0
"""Nodes from a source, within which its pressure depends on the mesh."""


def remarks(config: SeismicConfig, observations: Observations) -> tuple[str, ...]:
    """One line for each."""
    found = [_coarse(config), _near(config, observations), _band(config, observations)]
    found += [_unread(config)]
    found += _traces(observations)
    return tuple(line for line in found if line)


def _coarse(config: SeismicConfig) -> str:
    points = points_per_wavelength(config, 0)
    if points >= ENOUGH:
        return ""
    return (
        f"{points:.2g} nodes per shortest wavelength at {HIGHEST:g} times the peak frequency are "
        f"few: data may be off by several per cent; {ENOUGH:g} are good (cells, degree)"
    )


def _unread(config: SeismicConfig) -> str:
    """Keys of the fast model beside the reference, as after a model was changed on its own."""
    keys = sorted(config.deepwave.model_fields_set)
    if config.model == "deepwave" or not keys:
        return ""
    return (
        f"deepwave.{', deepwave.'.join(keys)} is of the fast model, and model '{config.model}' "
        "does not read it; set model = 'deepwave', or leave it out"
    )


def _band(config: SeismicConfig, observations: Observations) -> str:
    share = share_in_band(observations, config.source.frequency)
    if share is None or share >= SHARE:
        return ""
    low, high = LOWEST * config.source.frequency, HIGHEST * config.source.frequency
    return (
        f"only {share:.1%} of the energy of the data lies between {low:g} and {high:g} Hz, where "
        "the wavelet has its own; correct source.frequency, or the filter of the data"
    )


def _near(config: SeismicConfig, observations: Observations) -> str:
    shot, receiver = (np.asarray(observations.coords[c]).astype(int) for c in COORDS[:2])
    if not ((shot < len(config.sources)) & (receiver < len(config.receivers))).all():
        return ""
    pairs = np.unique(np.stack([shot, receiver], axis=1), axis=0)
    ways = config.sources[pairs[:, 0]] - config.receivers[pairs[:, 1]]
    reach = NEAR * config.between_nodes(0)
    close = int((np.hypot(*ways.T) < reach).sum())
    if not close:
        return ""
    return (
        f"{close} of {len(pairs)} traces are nearer than {reach:.3g} m to their source, where the "
        "pressure of a point source depends on the mesh; leave them out (--sensors), or give them "
        "more noise"
    )


def _traces(observations: Observations) -> list[str]:
    """Traces of zeros, and samples that are zero in every trace."""
    values = np.asarray(observations.values)
    found = []
    for name, words in (("time", "sample"), ("receiver", "receiver"), ("shot", "shot")):
        numbers = np.asarray(observations.coords[name])
        groups, at = np.unique(numbers, return_inverse=True)
        size = np.zeros(len(groups))
        np.maximum.at(size, at.ravel(), np.abs(values))
        dead = groups[(size == 0) & (np.bincount(at.ravel()) > 1)]
        if len(dead) and size.any():
            more = f" and {len(dead) - 1} more" if len(dead) > 1 else ""
            found.append(
                f"the {words} at {name} {dead[0]:g}{more} is zero in all traces; if it was not "
                "measured, it has to be NaN"
            )
    return found
