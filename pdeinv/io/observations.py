"""Observation files: CF discrete samples with their noise, read strictly and written completely.

Layout of ``featureType = "point"`` (docs/files.md has the whole of it)::

    dims        obs
    u(obs)      the measured values; units, ancillary_variables = "u_sigma"
    u_sigma(obs)  absolute noise standard deviation, same units
    u_cov(obs, obs_2)  full noise covariance instead (optional)
    u_qc(obs)   quality flag, 0 = good (optional)
    x(obs), y(obs)  where

Time series, and quantities over several numbered dimensions, are in :mod:`pdeinv.io.layouts`, data
of several quantities in :mod:`pdeinv.io.kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from pdeinv.bayes.likelihood import Likelihood
from pdeinv.bayes.misfits import MisfitConfig, judged, noise_behind
from pdeinv.bayes.noise import Noise, additive
from pdeinv.errors import CapabilityError, DataSchemaError, PdeinvError
from pdeinv.io import netcdf
from pdeinv.io.fields import PROBLEM, config_of
from pdeinv.io.flags import unflagged
from pdeinv.io.kinds import flattened_kinds, gathered_kinds
from pdeinv.io.layouts import (
    TIME,
    flattened_array,
    flattened_series,
    gathered_array,
    gathered_series,
    is_series,
)
from pdeinv.io.likelihoods import likelihood_attrs, said_likelihood, said_misfit
from pdeinv.io.quantities import check_squared, column, multiplier
from pdeinv.model.observed import Observed, Sensors
from pdeinv.provenance import Source
from pdeinv.typing import Array

__all__ = [
    "NoiseSpec",
    "Observations",
    "OwnLikelihood",
    "noise_of",
    "read",
    "to_dataset",
]

OwnLikelihood = Callable[[Sensors], Likelihood | None]
"""The likelihood by which a problem takes data at sensors; None where they have additive noise."""


@dataclass(frozen=True)
class NoiseSpec:
    """Noise given on the command line or in a configuration; it replaces what the file says.

    Attributes:
        std: one absolute standard deviation for all data.
        rel: standard deviation relative to the largest absolute value, of each kind of data.
        rms: the same relative to their root mean square, of records that are quiet for long.
    """

    std: float | None = None
    rel: float | None = None
    rms: float | None = None

    def __post_init__(self) -> None:
        flags = {"--noise-std": self.std, "--noise-rel": self.rel, "--noise-rms": self.rms}
        given = {name: value for name, value in flags.items() if value is not None}
        if len(given) > 1:
            raise DataSchemaError(f"give the noise once: {' or '.join(given)}, not both")
        for name, value in given.items():
            if not (np.isfinite(value) and value > 0):
                raise DataSchemaError(f"{name} must be positive and finite, got {value:g}")

    def __bool__(self) -> bool:
        return any(value is not None for value in (self.std, self.rel, self.rms))

    def for_values(self, values: Array, kinds: NDArray[np.int64] | None = None) -> Noise:
        """The noise of ``values``.

        Args:
            values: the data.
            kinds: the kind of each, where they are of several.

        Raises:
            DataSchemaError: relative noise of values that are all zero, or one absolute number for
                several quantities.
        """
        if kinds is not None and self.std is not None and len(np.unique(kinds)) > 1:
            raise DataSchemaError(
                "--noise-std is one number, the data are several quantities; use --noise-rel "
                "(relative to the largest value of each)"
            )
        std = np.empty(len(values))
        numbers = np.zeros(len(values), dtype=np.int64) if kinds is None else kinds
        for kind in np.unique(numbers):
            own = numbers == kind
            std[own] = self._of(values[own])
        return Noise(std)

    def _of(self, values: Array) -> float:
        if self.rms is not None:
            std = self.rms * float(np.sqrt(np.mean(np.square(values))))
        else:
            peak = float(np.max(np.abs(values)))
            std = self.std if self.std is not None else float(self.rel or 0) * peak
        if std == 0:
            raise DataSchemaError(
                "relative noise of values that are all zero is zero; use --noise-std"
            )
        return std


def noise_of(sigma: ArrayLike, n: int) -> Noise:
    """The noise of ``n`` data from one σ, one for each, or a covariance (n, n)."""
    spread = np.asarray(sigma, dtype=np.float64)
    if spread.ndim == 2:
        return Noise.from_covariance(spread)
    if spread.ndim > 1 or spread.size not in (1, n):
        raise DataSchemaError(
            f"observations: sigma must be a number, {n} numbers or a covariance, got {spread.shape}"
        )
    return Noise(np.broadcast_to(spread.ravel(), (n,)).copy())


@dataclass(frozen=True)
class Observations:
    """Measured values with their places and noise, good data only.

    Attributes:
        observed: name and units of the measured quantity and of its coordinates.
        values: shape (n,).
        coords: one array (n,) per coordinate.
        likelihood: the distribution of the values about what is right; additive noise is one.
        problem: name of the problem that the file names, if any.
        problem_config: the problem's configuration that the file carries, if any.
        n_dropped: data left out because they were missing or flagged.
        source: the file that they came from, if any.
    """

    observed: Observed
    values: Array
    coords: Mapping[str, Array]
    likelihood: Likelihood
    problem: str | None = None
    problem_config: Mapping[str, Any] = field(default_factory=dict)
    n_dropped: int = 0
    source: Source | None = None

    @property
    def size(self) -> int:
        """The number of data."""
        return len(self.values)

    @property
    def noise(self) -> Noise:
        """The likelihood where it is additive Gaussian noise.

        Raises:
            CapabilityError: it is another.
        """
        return additive(self.likelihood)

    def judged_by(self, misfit: MisfitConfig) -> Observations:
        """The same, compared with predictions as a run asks for; as they are where it does not.

        Raises:
            CapabilityError: they have a likelihood of their own, or no time at equal steps.
            ConfigError: a corner that their sampling does not hold.
        """
        if not misfit:
            return self
        plain = noise_behind(self.likelihood)
        if plain is None:
            raise CapabilityError(
                f"misfit: '{self.observed.name}' has a likelihood of its own, which no misfit of "
                "traces replaces; leave it out"
            )
        return replace(self, likelihood=judged(misfit, plain, self.coords))


def header(path: Path) -> tuple[xr.Dataset, str | None, dict[str, Any]]:
    """The dataset of an observation file with the problem and configuration that it names."""
    dataset = netcdf.read_dataset(path)
    kind = dataset.attrs.get("pdeinv_kind", "observations")
    if kind != "observations":
        raise DataSchemaError(
            f"{path}: expected an observation file, got a file of kind '{kind}'; "
            "make one with 'pdeinv observe'"
        )
    return dataset, dataset.attrs.get(PROBLEM), config_of(dataset.attrs, path)


def read(
    path: Path, observed: Observed, noise: NoiseSpec | None = None, own: OwnLikelihood | None = None
) -> Observations:
    """Read and check an observation file of the quantity that the problem predicts.

    Args:
        path: NetCDF file.
        observed: what the problem predicts: names and units.
        noise: replaces the file's noise where given.
        own: the likelihood by which the problem takes data at sensors, or None of them.

    Raises:
        DataSchemaError: anything that does not follow the layout, with what to do about it.
    """
    dataset, problem, problem_config = header(path)
    shown: dict[str, str] = {}
    if is_series(dataset):
        dataset, shown = flattened_series(dataset, observed.name, path), {"t": TIME}
    elif observed.dims:
        dataset = flattened_array(dataset, observed, path)
    elif observed.kinds:
        dataset = flattened_kinds(dataset, observed, path, noise=not noise)
    else:
        dataset = _one_dimension(dataset, observed.name)
    values = column(dataset, observed.name, observed.units, path)
    coords = {
        c: column(dataset, c, u, path, len(values), shown.get(c))
        for c, u in observed.coords.items()
    }
    good = ~np.isnan(values) & unflagged(dataset, observed.name, path)
    if np.isinf(values[good]).any():
        k = int(np.flatnonzero(good & np.isinf(values))[0])
        raise DataSchemaError(
            f"{path}: datum {k} of '{observed.name}' is infinite; correct it, or make it NaN if it "
            "is missing"
        )
    for name, array in coords.items():
        lost = np.flatnonzero(good & ~np.isfinite(array))
        if len(lost):
            raise DataSchemaError(
                f"{path}: coordinate '{shown.get(name, name)}' of datum {lost[0]} is not finite; "
                f"correct it, or make '{observed.name}' NaN there if the datum shall be left out"
            )
    if not good.any():
        why = f"all {len(values)} are missing or flagged" if len(values) else "it holds none"
        raise DataSchemaError(f"{path}: no usable datum of '{observed.name}': {why}")
    places = {name: array[good] for name, array in coords.items()}
    law = None if own is None else own(places)
    law = law or said_likelihood(dataset[observed.name], good, path)
    return Observations(
        observed,
        values[good],
        places,
        _compared(
            dataset[observed.name],
            _noise(dataset, observed, (values, observed.numbers(coords)), good, noise, path),
            places,
            path,
        )
        if law is None
        else _checked(law, observed, values[good], (noise, _said_noise(dataset, observed)), path),
        problem,
        problem_config,
        int((~good).sum()),
        Source.of(path),
    )


def _one_dimension(dataset: xr.Dataset, name: str) -> xr.Dataset:
    """Without the dimensions of length one that programs give to columns of numbers."""
    if name not in dataset or dataset[name].ndim < 2:
        return dataset
    dims = dataset[name].dims
    single = [d for d in dims if dataset.sizes[d] == 1]
    return dataset.squeeze(single[: len(dims) - 1])


def _said_noise(dataset: xr.Dataset, observed: Observed) -> str:
    """The variable of a file that says the noise, empty where none does."""
    names = (f"{observed.name}_sigma", f"{observed.name}_cov")
    return next((name for name in names if name in dataset), "")


def _checked(
    law: Likelihood,
    observed: Observed,
    values: Array,
    given: tuple[NoiseSpec | None, str],
    path: Path,
) -> Likelihood:
    """A likelihood other than additive noise, of data that are of its kind.

    Raises:
        DataSchemaError: they are not, or the problem predicts no z of such a likelihood.
    """
    if not observed.latent:
        raise DataSchemaError(
            f"{path}: '{observed.name}' cannot be data of 0 and 1: this problem predicts the "
            "quantity itself and not the z of such a likelihood; use an own model that predicts z"
        )
    spec, sigma = given
    if spec:
        raise DataSchemaError(
            f"{path}: '{observed.name}' has a likelihood of its own; leave out --noise-std and "
            "--noise-rel"
        )
    if sigma:
        raise DataSchemaError(
            f"{path}: '{observed.name}' has a likelihood of its own, which knows no standard "
            f"deviation; leave out '{sigma}'"
        )
    try:
        law.check(values)
    except DataSchemaError as error:
        raise DataSchemaError(f"{path}: '{observed.name}': {error}") from None
    return law


def _compared(
    variable: xr.DataArray, noise: Noise, coords: Mapping[str, Array], path: Path
) -> Likelihood:
    """Additive noise, or what the file makes of it along the time."""
    misfit = said_misfit(variable, path)
    try:
        return judged(misfit, noise, coords)
    except PdeinvError as error:
        raise DataSchemaError(f"{path}: '{variable.name}': {error}") from None


def _noise(
    dataset: xr.Dataset,
    observed: Observed,
    data: tuple[Array, NDArray[np.int64] | None],
    good: np.ndarray[Any, np.dtype[np.bool_]],
    spec: NoiseSpec | None,
    path: Path,
) -> Noise:
    name, (values, kinds) = observed.name, data
    if spec:
        return spec.for_values(values[good], None if kinds is None else kinds[good])
    if f"{name}_cov" in dataset:
        check_squared(dataset[f"{name}_cov"], observed.units, path)
        return _covariance(dataset[f"{name}_cov"], good, path)
    if f"{name}_sigma" not in dataset:
        raise DataSchemaError(
            f"{path}: no noise given for '{name}'; add a variable '{name}_sigma' or pass "
            "--noise-std (absolute) or --noise-rel (relative to the largest value)"
        )
    sigma = column(dataset, f"{name}_sigma", observed.units, path, len(values))
    sigma = sigma / multiplier(dataset[f"{name}_sigma"], path)
    bad = np.flatnonzero(good & ~(np.isfinite(sigma) & (sigma > 0)))
    if len(bad):
        raise DataSchemaError(
            f"{path}: '{name}_sigma' must be positive and finite at every good datum; "
            f"datum {bad[0]} has {sigma[bad[0]]:g}; correct it, make the datum NaN to leave it "
            "out, or give --noise-std"
        )
    return Noise(sigma[good])


def _covariance(
    variable: xr.DataArray, good: np.ndarray[Any, np.dtype[np.bool_]], path: Path
) -> Noise:
    n = len(good)
    if variable.shape != (n, n) or not np.issubdtype(variable.dtype, np.number):
        raise DataSchemaError(
            f"{path}: '{variable.name}' must be {n} x {n} numbers, got {variable.shape} of "
            f"{variable.dtype}"
        )
    try:
        return Noise.from_covariance(np.asarray(variable, dtype=np.float64)[np.ix_(good, good)])
    except DataSchemaError as error:
        raise DataSchemaError(f"{path}: '{variable.name}': {error}") from None


def to_dataset(observations: Observations, attrs: Mapping[str, Any]) -> xr.Dataset:
    """The file layout of observations; ``attrs`` are the provenance attributes.

    Data at all times of all stations become time series, those that are numbered along several
    dimensions an array over these, all others points.
    """
    o, name = observations.observed, observations.observed.name
    attrs_of = {"units": o.units, "long_name": o.long_name}
    attrs_of |= likelihood_attrs(observations.likelihood)
    noise = _noise_variables(observations)
    if noise:
        attrs_of["ancillary_variables"] = f"{name}_sigma"
    variables = {name: xr.Variable("obs", observations.values, attrs_of), **noise}
    coords = {
        c: xr.Variable("obs", array, _coord_attrs(c, o.attrs_of(c)))
        for c, array in observations.coords.items()
    }
    flat = xr.Dataset(variables, coords, {**attrs, "featureType": "point"})
    if o.kinds:
        return gathered_kinds(flat, o)
    return gathered_array(flat, o) if o.dims else gathered_series(flat)


def _noise_variables(observations: Observations) -> dict[str, xr.Variable]:
    """σ and, where there is one, the covariance of additive noise; nothing for another law.

    What is compared along the time has the noise that is behind it.
    """
    noise, o = noise_behind(observations.likelihood), observations.observed
    if noise is None:
        return {}
    sigma = {
        "units": o.units,
        "long_name": f"noise standard deviation of {o.long_name}",
        "standard_error_multiplier": 1.0,
    }
    found = {f"{o.name}_sigma": xr.Variable("obs", noise.std, sigma)}
    if noise.covariance is not None:
        cov = {"units": f"({o.units})^2", "long_name": f"noise covariance of {o.long_name}"}
        found[f"{o.name}_cov"] = xr.Variable(("obs", "obs_2"), noise.covariance, cov)
    return found


def _coord_attrs(name: str, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """CF knows the axes X, Y, Z and T and no others."""
    axis = {"axis": name.upper()} if name in {"x", "y", "z", "t"} else {}
    return {"long_name": f"{name} coordinate", **attrs, **axis}
