"""``pdeinv import flame-cantera cantera``: a flame that Cantera saved as CSV, YAML or HDF5.

Of a free flame its speed is taken, since it has no place of its own, unless an offset is sought; of
others profiles. The state of the inlet is that of the first point.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv import foreign
from pdeinv.config import Positive
from pdeinv.errors import DataSchemaError
from pdeinv.io.trial import check_sound
from pdeinv.plugins.problem import Importer
from pdeinv.typing import Array

from ..rows import SIGMA, Table
from .config import DetailedConfig
from .importer import GasOptions, config_of, file_of
from .mechanism import cantera, gas_of, said
from .quantities import coordinates, kinds_of

__all__ = ["SaveOptions", "save_importer"]

INLETS = {
    "free": "reactants",
    "burner": "burner",
    "counterflow": "reactants",
    "diffusion": "fuel_inlet",
}
"""What Cantera calls the domain of the first inlet."""

HDF5 = (".h5", ".hdf5", ".hdf")
SUFFIXES = (".csv", ".yaml", ".yml", *HDF5)


class SaveOptions(GasOptions):
    """Flags of the format."""

    rel: float = Field(
        0.02,
        gt=0,
        le=1,
        description="standard deviation as a part of each quantity's largest value",
    )
    quantities: str = Field("T", description="of profiles, such as T,u,X_OH")
    every: int = Field(1, ge=1, le=10_000, description="take each so many-th point")
    phi: Positive | None = Field(
        None, description="equivalence ratio; that of the inlet, which CSV does not hold"
    )
    group: str = Field("solution", description="name that the flame was saved under")


def _read(source: Path, options: SaveOptions) -> xr.Dataset:
    names = [name.strip() for name in options.quantities.split(",")]
    free = options.configuration == "free"
    alone = free and options.offset is None
    species = [] if alone else list(dict.fromkeys(n[2:] for n in names if n[:2] in ("X_", "Y_")))
    config = config_of(options, species, {})
    gas = gas_of(config)
    saved = _saved(source, gas, options.group, "flame")
    if free:
        _check_free(saved, (source, options))
    state = _inlet(saved, (source, options), config, gas)
    wanted = ["s_L"] if alone else names
    kinds = [k for k in kinds_of(config) if k.name in wanted]
    if len(kinds) < len(wanted) or (not alone and "s_L" in wanted):
        known = ", ".join(k.name for k in kinds_of(config) if k.name != "s_L")
        raise DataSchemaError(f"--quantities {options.quantities}: expected some of {known}")
    rows = slice(0, 1) if alone else slice(None, None, options.every)
    columns = {} if alone else {"x": np.asarray(saved.grid)[rows]}
    for kind in kinds:
        values = _profile(saved, kind.name)
        columns[kind.name] = values[rows]
        largest = float(np.abs(values[rows]).max())
        columns[kind.name + SIGMA] = np.full_like(values[rows], options.rel * largest)
    count = len(columns[kinds[0].name])
    table = Table(source, np.arange(1, count + 1), columns)
    told = table.filled({short: state[short] for short in coordinates(config)})
    return file_of(told, kinds, (options, species), None)


def _check_file(source: Path) -> None:
    """Refuse what is no file of Cantera by its name, no file at all, or ends the HDF5 library.

    Raises:
        DataSchemaError: says which.
    """
    if source.suffix.lower() not in SUFFIXES:
        raise DataSchemaError(f"{source}: expected a file that ends in {', '.join(SUFFIXES)}")
    try:
        foreign.check_regular(source)
        if source.suffix.lower() in HDF5:
            check_sound(source)
    except OSError as error:
        raise DataSchemaError(f"cannot read {source}: {error.strerror}") from None
    except foreign.Unreadable as error:
        raise DataSchemaError(f"{source} {error}") from None


@dataclass(frozen=True)
class _Points:
    """Numbers at the points of a domain, each finite; place and speed of a flame's alone."""

    T: Array
    P: Array
    density: Array
    X: Array
    Y: Array
    species_names: list[str]
    grid: Array
    velocity: Array

    @classmethod
    def of(cls, found: Any, domain: str) -> _Points:
        """Those of an array of Cantera's, whose columns may hold text.

        Raises:
            ValueError: no numbers, or none that a state can have.
        """
        names = ("T", "P", "density", "X", "Y")
        values = {k: np.asarray(getattr(found, k), dtype=np.float64) for k in names}
        extra = ("grid", "velocity") if domain == "flame" else ()
        values |= {k: np.asarray(getattr(found, k), dtype=np.float64) for k in extra}
        if not all(v.size and np.isfinite(v).all() for v in values.values()):
            raise ValueError("values that are not finite, or none")
        if min(values[k].min() for k in ("T", "P", "density")) <= 0:
            raise ValueError("a temperature, pressure or density that is not positive")
        if len({len(v) for v in values.values()}) > 1:
            raise ValueError("no profiles")
        none = np.empty(0)
        return cls(**{"grid": none, "velocity": none, **values},
                   species_names=list(found.species_names))  # fmt: skip


def _saved(source: Path, gas: Any, group: str, domain: str) -> _Points:
    """The points of a domain, ``flame`` or an inlet.

    Raises:
        DataSchemaError: Cantera cannot read it.
    """
    ct = cantera()
    _check_file(source)
    found = ct.SolutionArray(gas)
    try:
        if source.suffix.lower() == ".csv":
            found.read_csv(str(source))
        else:
            found.restore(str(source), name=group, sub=domain)
        return _Points.of(found, domain)
    except (
        ct.CanteraError, AttributeError, ImportError, KeyError, OSError, RuntimeError, TypeError,
        ValueError, IndexError,
    ) as error:  # fmt: skip
        raise DataSchemaError(
            f"{source}: Cantera reads no flame of this mechanism there ({said(error)}); --group "
            "is the name that it was saved under"
        ) from None


def _profile(saved: _Points, name: str) -> Array:
    if name in ("u", "s_L"):
        return saved.velocity
    if name == "T":
        return saved.T
    column = saved.species_names.index(name[2:])
    return np.asarray((saved.X if name[0] == "X" else saved.Y)[:, column])


STEEP = 0.02
"""Slope of the temperature at the inlet over the steepest one: above, a flame is held there."""


def _check_free(saved: _Points, about: tuple[Path, SaveOptions]) -> None:
    """Refuse profiles of a free flame without an offset, and flames that burn at their inlet.

    Raises:
        DataSchemaError: says which.
    """
    source, options = about
    if options.offset is None and {"quantities", "every"} & options.model_fields_set:
        raise DataSchemaError(
            f"{source}: of a free flame the speed alone is taken; leave --quantities and --every "
            "out, or give --configuration, or --offset MEAN,STD for profiles of unknown place"
        )
    slopes = np.abs(np.diff(saved.T) / np.diff(saved.grid))
    if slopes[0] > STEEP * slopes.max():
        raise DataSchemaError(
            f"{source}: the temperature rises from the inlet on, which is no free flame's; give "
            "--configuration burner, counterflow or diffusion"
        )


def _inlet(
    saved: _Points, about: tuple[Path, SaveOptions], config: DetailedConfig, gas: Any
) -> dict[str, float]:
    """The state of the inlet, by the coordinates of data.

    Species diffuse back to the inlet, so that the first point is not its mixture. YAML and HDF5
    hold the inlet as well.

    Raises:
        DataSchemaError: a CSV file, and nobody says the equivalence ratio.
    """
    source, options = about
    phi = options.phi
    if phi is None and "phi" not in coordinates(config):
        phi = 1.0  # means nothing
    elif phi is None and source.suffix.lower() == ".csv":
        raise DataSchemaError(f"{source}: CSV does not hold the mixture of the inlet; give --phi")
    elif phi is None:
        mixed = _saved(source, gas, options.group, INLETS[config.configuration]).X[0]
        gas.TPX = saved.T[0], saved.P[0], mixed
        phi = float(gas.equivalence_ratio(config.fuel, config.oxidizer))
    return {
        "p": float(saved.P[0]),
        "T_in": float(saved.T[0]),
        "phi": phi,
        "mass_flux": float(saved.velocity[0] * saved.density[0]),
    }


save_importer = Importer("A flame that Cantera saved (CSV, YAML or HDF5).", SaveOptions, _read)
