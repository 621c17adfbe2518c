"""What scans show of concentrations: masks, PET, both in one file, or neither."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.likelihood import Likelihood
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.parts import Parts
from pdeinv.errors import DataSchemaError
from pdeinv.model.observed import Observed, Sensors

from .config import MasksConfig, TumorConfig
from .fields import CONCENTRATION
from .fronts import Fronts
from .masks import REGION, REGIONS, Masks, likelihood_of, regions_of
from .model import Seen
from .pet import PET, PetConfig, Uptake
from .reads import Reads

__all__ = ["in_all_regions", "law_of", "observed_of", "plain", "seen_of"]

_WORDS = {
    (True, False): ("mask", "tumor seen (1) or not (0) in a region: 1 the whole tumor, 2 its core"),
    (False, True): ("pet", "uptake in PET, of number 3 among regions"),
    (True, True): ("scan", "region 1, 2: whole tumor, core, seen (1) or not (0); 3: uptake in PET"),
}
"""Name and words of the data, by whether there are masks and PET."""

MEANINGS = {**{float(k): name for k, name in enumerate(REGIONS, 1)}, float(PET): "uptake"}
"""What the numbers of regions mean."""


def plain(config: TumorConfig) -> TumorConfig:
    """The same with concentrations as data."""
    return config.model_copy(update={"masks": None, "pet": None})


def observed_of(config: TumorConfig, axes: tuple[str, ...]) -> Observed:
    """Name, units and coordinates of the data."""
    coords = {**dict.fromkeys(axes, "mm"), "t": "d"}
    kinds = config.masks is not None, config.pet is not None
    if any(kinds):
        name, words = _WORDS[kinds]
        meanings = {REGION: {k: MEANINGS[k] for k in _numbers(config)}}
        return Observed(name, "1", words, {**coords, REGION: "1"}, latent=True, meanings=meanings)
    average = f", average over voxels of {config.voxel:g} mm" if config.voxel > 0 else ""
    return Observed("c", "1", CONCENTRATION + average, coords)


def in_all_regions(config: TumorConfig, sensors: Sensors) -> Sensors:
    """The same places and times for each kind of data, one after the other."""
    numbers = _numbers(config)
    if not numbers:
        return sensors
    n = len(next(iter(sensors.values())))
    repeated = {name: np.tile(column, len(numbers)) for name, column in sensors.items()}
    return {**repeated, REGION: np.repeat(np.array(numbers, dtype=np.float64), n)}


def _numbers(config: TumorConfig) -> list[float]:
    """The numbers of the regions that data are of."""
    masks = range(1, len(REGIONS) + 1) if config.masks is not None else ()
    return [float(k) for k in (*masks, *([PET] if config.pet is not None else []))]


def seen_of(config: TumorConfig, reads: Reads, sensors: Sensors) -> Seen:
    """The data at sensors as functions of the states.

    Raises:
        DataSchemaError: one is of no region that the configuration knows.
    """
    found = Seen(reads)
    of_pet = _of_pet(config, sensors)
    if config.masks is not None:
        region = np.where(of_pet, 1, np.asarray(sensors[REGION]))
        found = replace(found, masks=_masks(config.masks, {**sensors, REGION: region}))
    elif config.pet is not None and not of_pet.all():
        raise DataSchemaError(
            f"sensor {int(np.argmin(of_pet))} is of no PET (region {PET}); add [problem.masks] for "
            "masks beside it"
        )
    return found if config.pet is None else replace(found, uptake=Uptake(of_pet))


def _masks(config: MasksConfig, sensors: Sensors) -> Masks | Fronts:
    """By differences of c, or by mm."""
    region = regions_of(sensors)
    return Masks(region, config.softness) if config.softness_mm is None else Fronts(region)


def _of_pet(config: TumorConfig, sensors: Sensors) -> NDArray[np.bool_]:
    if config.pet is None:
        return np.zeros(len(np.asarray(sensors["t"])), dtype=np.bool_)
    return np.asarray(np.asarray(sensors[REGION]) == PET)


def law_of(config: TumorConfig, sensors: Sensors) -> Likelihood | None:
    """The likelihood of masks and PET; concentrations have the noise that their file says."""
    of_pet = _of_pet(config, sensors)
    if config.pet is None or not of_pet.any():
        return None if config.masks is None else likelihood_of(config.masks, sensors)
    if config.masks is None or of_pet.all():
        return _noise(config.pet, len(of_pet))
    rows = np.flatnonzero(~of_pet), np.flatnonzero(of_pet)
    masks = {name: np.asarray(column)[rows[0]] for name, column in sensors.items()}
    return Parts(rows, (likelihood_of(config.masks, masks), _noise(config.pet, len(rows[1]))))


def _noise(config: PetConfig, size: int) -> Noise:
    """Independent noise, of fewer data than there are: the misfit times their share."""
    return Noise(np.full(size, config.noise / np.sqrt(config.share)))
