"""Frames of impedance measurements for the tests of the importers."""

import numpy as np

from pdeinv.config import parse, parse_toml
from pdeinv.problems.eit.importers import IMPORTERS

__all__ = ["CIRCLE", "carried", "dipoles", "read", "voltages"]

CIRCLE = {"radius": 0.1, "electrode_width": 0.01, "first_angle": 0.0, "direction": "ccw"}
"""Where the electrodes of a test are."""


def read(name, source, **options):
    """What an importer makes of a file."""
    importer = IMPORTERS[name]
    return importer.read(source, parse(importer.Options, options, ""))


def dipoles(pairs, count, size=1.0):
    """A row for each pair of ``count`` electrodes: ``size`` at the first, minus it at the other."""
    table = np.zeros((len(pairs), count))
    for k, (plus, minus) in enumerate(pairs):
        table[k, plus], table[k, minus] = size, -size
    return table


def voltages(current, pattern, conductivity=1.0):
    """A uniform disc with point electrodes, so that reciprocity and signs are right."""
    angle = 2 * np.pi * np.arange(current.shape[1]) / current.shape[1]
    places = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    gap = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(gap, 0.02)
    return current @ (-np.log(gap) / np.pi / conductivity) @ pattern.T


def carried(dataset):
    """The problem's configuration in the file."""
    return parse_toml(dataset.attrs["pdeinv_problem_config"], "")
