"""A model that a user writes: a function of numbers with a prior, and what it says of its data."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pdeinv.bayes.named_priors import as_prior
from pdeinv.bayes.prior import Prior
from pdeinv.errors import ConfigError, DataSchemaError, ShapeError, SolverDiverged
from pdeinv.model.observed import Observed, Sensors
from pdeinv.plugins.own_derivative import Derivative, answer, called, numbers, steps_of
from pdeinv.provenance import sha256
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["Origin", "OwnModel", "own_model", "rows_of"]

RESERVED = {"obs", "xi", "chain", "draw", "sample", "noise_std", "status", "failure"}
"""Names that files give to other things."""

TRIES = 20
"""Prior draws at which the size of the data is looked for."""

FEW_DIFFERENCES = 20
"""Up to so many unknowns a coarse function gets central differences without being asked."""


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        name: ``module:factory`` for one that can be imported, else ``module:function``.
        sha256: of the source file, or of the compiled function where there is no file.
        module: module name or path of the file, to import it in another process; empty where the
            model was made in this one.
        folder: where the module is looked for first.
    """

    name: str
    sha256: str
    module: str = ""
    folder: str = ""


@dataclass(frozen=True, eq=False)
class OwnModel:
    """G with its prior; :func:`own_model` makes it.

    Attributes:
        forward: m of shape (n_m,) to data of shape (n_d,).
        prior: of m.
        observed: name and units of the data and of their coordinates.
        derivative: what is known of dG.
        places: the coordinates of the data, each shape (n_d,); numbers from 0 where None.
        coarse: a cheaper model of the same unknown and data, level −1.
        origin: where it comes from.
    """

    forward: Callable[[Array], Any]
    prior: Prior
    observed: Observed
    derivative: Derivative
    places: Sensors | None
    coarse: OwnModel | None
    origin: Origin = field(repr=False)

    def evaluate(self, m: Array) -> Array:
        """G(m), shape (n_d,).

        Raises:
            SolverDiverged: the function raised an error.
            ShapeError: it returned another shape.
        """
        return called(self.forward, "forward", (self.size,), m)

    def unpack(self, m: Array) -> dict[str, Array]:
        """The values of each variable of the unknown by its name, in their own shapes."""
        return {str(k): v.values for k, v in self.prior.space.unpack(m).data_vars.items()}

    @cached_property
    def size(self) -> int:
        """n_d: as many as there are coordinates, else as many as the function returns.

        Raises:
            ConfigError: the function fails wherever it is tried.
            ShapeError: it does not return a list of numbers.
        """
        if self.places is not None:
            return len(next(iter(self.places.values())))
        rng, lost = stream(0, "own-size"), ""
        xi = np.zeros(self.prior.dim)
        for _ in range(TRIES):
            try:
                return self._length(self.prior.unwhiten(xi))
            except SolverDiverged as error:
                lost = lost or str(error)
            xi = rng.standard_normal(self.prior.dim)
        raise ConfigError(f"{lost}, and so at {TRIES - 1} prior draws; correct it or the prior")

    def _length(self, m: Array) -> int:
        found = numbers(answer(self.forward, "forward", m), "forward")
        if found.ndim != 1 or found.size == 0:
            raise ShapeError(
                f"own model: forward must return a list of data, shape (n_d,), got shape "
                f"{found.shape}"
            )
        return found.size

    @cached_property
    def coordinates(self) -> Sensors:
        """The coordinates of all data."""
        if self.places is not None:
            return self.places
        return {next(iter(self.observed.coords)): np.arange(self.size, dtype=np.float64)}


def own_model(  # noqa: PLR0913  one keyword for each thing that a model can say
    forward: Callable[[Array], Any],
    *,
    prior: Any,
    data: str = "data",
    data_units: str = "1",
    data_long_name: str = "",
    coords: Mapping[str, ArrayLike] | None = None,
    coord_units: Mapping[str, str] | None = None,
    jacobian: Callable[[Array], Any] | None = None,
    jvp: Callable[[Array, Array], Any] | None = None,
    vjp: Callable[[Array, Array], Any] | None = None,
    gradient: Literal["finite-difference"] | None = None,
    coarse: Callable[[Array], Any] | OwnModel | None = None,
) -> OwnModel:
    """A function with a prior as a model that every verb takes.

    Args:
        forward: G, m of shape (n_m,) to data of shape (n_d,). An error that it raises, or NaN that
            it returns, is a failed solve.
        prior: of m: one of ``pdeinv.priors``, a list of them, or tables by name as in a run file;
            m holds their values one behind the other.
        data: the name of the data in files.
        data_units: their units.
        data_long_name: what they are, in words.
        coords: where the data are, lists of n_d numbers by name; their number where not given.
        coord_units: units of the coordinates; 1 where not given.
        jacobian: m to dG(m), shape (n_d, n_m).
        jvp: (m, dm) to dG(m)[dm], shape (n_d,).
        vjp: (m, w) to dG(m)^T w, shape (n_m,). Of jvp and vjp one is enough.
        gradient: ``finite-difference`` for central differences, 2 n_m evaluations each, which are
            counted; only where asked for.
        coarse: a cheaper G of the same unknown and data, for ``two-level``; a function, which for
            at most 20 unknowns gets central differences, or a model with derivatives of its own.

    Raises:
        ConfigError: an argument is wrong.
    """
    for what, function in (
        ("forward", forward),
        ("jacobian", jacobian),
        ("jvp", jvp),
        ("vjp", vjp),
    ):
        if not callable(function) and (function is not None or what == "forward"):
            raise ConfigError(
                f"own model: {what} must be a function, got {type(function).__name__}"
            )
    if gradient not in (None, "finite-difference"):
        raise ConfigError(
            f"own model: gradient must be 'finite-difference' or None, got {gradient}"
        )
    known = as_prior(prior)
    places = _places(coords)
    units = {c: (coord_units or {}).get(c, "1") for c in places or ("number",)}
    observed = Observed(data, data_units, data_long_name or data, units, latent=True)
    _check_names(observed, known, coord_units)
    steps = None if gradient is None else steps_of(known)
    return OwnModel(
        forward, known, observed, Derivative(jacobian, jvp, vjp, steps), places,
        _coarse(coarse, known, (observed, places)), _origin(forward),
    )  # fmt: skip


def _places(coords: Mapping[str, ArrayLike] | None) -> dict[str, Array] | None:
    if not coords:
        return None
    places = {c: np.asarray(v, dtype=np.float64) for c, v in coords.items()}
    shapes = {a.shape for a in places.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) != 1 or not next(iter(shapes))[0]:
        got = ", ".join(f"{c} {a.shape}" for c, a in places.items())
        raise ConfigError(f"own model: coords must be lists, one number per datum, got {got}")
    table = np.stack(list(places.values()), axis=1)
    if not np.isfinite(table).all():
        raise ConfigError("own model: coords must be finite")
    if len(np.unique(table, axis=0)) < len(table):
        raise ConfigError(
            "own model: two data have the same coords; add a coordinate that tells them apart"
        )
    return places


def _check_names(observed: Observed, prior: Prior, units: Mapping[str, str] | None) -> None:
    names = [observed.name, *observed.coords, *prior.space.names]
    for name in names:
        if not name.isidentifier() or name in RESERVED or names.count(name) > 1:
            raise ConfigError(
                f"own model: '{name}' cannot name data, coordinate or unknown; each needs a name "
                f"of its own, letters and digits, and none of {', '.join(sorted(RESERVED))}"
            )
    extra = sorted(set(units or {}) - set(observed.coords))
    if extra:
        raise ConfigError(f"own model: coord_units names '{extra[0]}', which coords has not")


def _coarse(
    given: Callable[[Array], Any] | OwnModel | None,
    prior: Prior,
    data: tuple[Observed, Sensors | None],
) -> OwnModel | None:
    """The cheaper model, with the prior and data of the model itself."""
    if given is None:
        return None
    if isinstance(given, OwnModel):
        forward, derivative, origin = given.forward, given.derivative, given.origin
    else:
        forward, derivative, origin = given, _by_differences(prior), _origin(given)
    return OwnModel(forward, prior, data[0], derivative, data[1], None, origin)


def _by_differences(prior: Prior) -> Derivative:
    """Of a cheap function with few unknowns, whose evaluations are not what a run pays for."""
    few = prior.dim <= FEW_DIFFERENCES
    return Derivative(steps=steps_of(prior) if few else None)


def _origin(function: Callable[..., Any]) -> Origin:
    """Where a function was defined."""
    owner = function if hasattr(function, "__qualname__") else type(function)
    name = f"{getattr(owner, '__module__', '')}:{getattr(owner, '__qualname__', '')}"
    try:
        return Origin(name, sha256(Path(inspect.getsourcefile(owner) or "")))
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        seen = b"" if code is None else code.co_code + repr(code.co_consts).encode()
        return Origin(name, hashlib.sha256(seen).hexdigest())


def rows_of(model: OwnModel, sensors: Sensors) -> NDArray[np.intp]:
    """The numbers of the data at ``sensors`` among those that the function predicts.

    Raises:
        DataSchemaError: there is no such datum.
    """
    names = list(model.observed.coords)
    known = _keys(model.coordinates, names)
    row = {key: i for i, key in enumerate(known)}
    asked = _keys(sensors, names)
    lost = [key for key in asked if key not in row]
    if lost:
        place = ", ".join(f"{c} = {v:g}" for c, v in zip(names, lost[0], strict=True))
        raise DataSchemaError(
            f"own model: {len(lost)} of {len(asked)} data are none of the {len(known)} that it "
            f"predicts, the first at {place}; give the coordinates of coords, or fewer data"
        )
    return np.array([row[key] for key in asked], dtype=np.intp)


def _keys(places: Sensors, names: list[str]) -> list[tuple[float, ...]]:
    columns = [np.asarray(places[c], dtype=np.float64).tolist() for c in names]
    return list(zip(*columns, strict=True))
