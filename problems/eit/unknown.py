"""What m holds - conductivity, permittivity, contact impedances - and the maps from m to each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior
from pdeinv.bayes.prior_config import LogGaussianConfig, PiecewiseConfig, UniformConfig, build
from pdeinv.bayes.prior_config import build_spde as spde_prior
from pdeinv.bayes.transforms import Exponential
from pdeinv.errors import ConfigError
from pdeinv.fem.energy import Energy, mesh_matrices
from pdeinv.fem.multilinear import cell_choice, multilinear
from pdeinv.fem.nodal import NodalSpace
from pdeinv.fem.simplices import cell_values_on, linear_on
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

from .domain import Domain
from .setup.config import Constant, EitConfig, ElementsConfig
from .setup.shapes import EllipsesConfig, HeartAndLungsConfig, ellipse_map, shape_prior

__all__ = ["Field", "FieldMap", "MatrixMap", "Unknown"]

_CONDUCTIVITY = {"name": "conductivity", "units": "S m-1", "long_name": "electrical conductivity"}
_PERMITTIVITY = {"name": "permittivity", "units": "F m-1", "long_name": "electrical permittivity"}


class FieldMap(Protocol):
    """The numbers of one field to its values at fixed points, with derivatives."""

    def __call__(self, m: Array, /) -> Array:
        """The values, shape (n,)."""

    def jvp(self, m: Array, dm: Array, /) -> Array:
        """The derivative along dm, shape (n,)."""

    def vjp(self, m: Array, w: Array, /) -> Array:
        """The derivative's transpose on w, shape (n_m,)."""

    def jacobian(self, m: Array, /) -> Any:
        """The whole derivative, shape (n, n_m), sparse or dense."""


@dataclass(frozen=True)
class MatrixMap:
    """A field that is linear in its numbers: P m.

    Attributes:
        matrix: P, sparse.
    """

    matrix: Any

    @cached_property
    def _transposed(self) -> Any:
        return self.matrix.T.tocsr()

    def __call__(self, m: Array) -> Array:
        """P m."""
        return np.asarray(self.matrix @ m)

    def jvp(self, _m: Array, dm: Array) -> Array:
        """P dm."""
        return np.asarray(self.matrix @ dm)

    def vjp(self, _m: Array, w: Array) -> Array:
        """Pᵀ w."""
        return np.asarray(self._transposed @ w)

    def jacobian(self, _m: Array) -> Any:
        """P."""
        return self.matrix


@dataclass(frozen=True)
class Field:
    """One field of the unknown: its prior and its values anywhere.

    Attributes:
        prior: of its numbers.
        at: points (n, d) to the map of the numbers to values there.
    """

    prior: FieldPrior
    at: Callable[[Array], FieldMap]


def _vertices(prior: FieldPrior) -> FieldPrior:
    """The same on dimension ``vertex``: files keep ``node`` for the nodes of the solution."""
    (v,) = prior.space.variables
    coords = {name: (("vertex",), array) for name, (_, array) in v.coords.items()}
    return replace(prior, space=Space((replace(v, dims=("vertex",), coords=coords),)))


def _on_vertices(config: Any, domain: Domain, labels: dict[str, str]) -> Field:
    mesh = domain.mesh(0)
    matrices = mesh_matrices(Energy.on(NodalSpace(mesh, "P1", mesh)))
    prior = _vertices(spde_prior(config, matrices, **labels, coord_units="m"))
    return Field(prior, lambda p: MatrixMap(linear_on(mesh.points, mesh.cells, p)))


def _on_elements(config: ElementsConfig, domain: Domain, labels: dict[str, str]) -> Field:
    mesh = domain.mesh(0)
    k, axes = len(mesh.cells), "xyz"[: domain.dim]
    centres = mesh.points[mesh.cells].mean(axis=1)
    coords = {a: (("element",), centres[:, i]) for i, a in enumerate(axes)}
    attrs = {a: {"units": "m", "long_name": f"{a} of the cell's centre"} for a in axes}
    variable = Variable(
        labels["name"], ("element",), (k,), labels["units"], labels["long_name"], coords, attrs
    )
    law = IndependentField(np.full(k, config.mean), np.full(k, config.std))
    prior = FieldPrior(Space((variable,)), law, Exponential())
    return Field(prior, lambda p: MatrixMap(cell_values_on(mesh.points, mesh.cells, p)))


def _on_grid(config: Any, domain: Domain, labels: dict[str, str]) -> Field:
    d, extent = domain.dim, domain.extent
    for key in ("grid", "cells"):
        counts = getattr(config, key, None)
        if counts is not None and len(counts) != d:
            raise ConfigError(f"unknown.{key}: expected {d} numbers for a domain in {d}-D")
    prior = build(config, **labels, extent=extent, coord_units="m")
    (variable,) = prior.space.variables
    if not variable.dims:
        return Field(prior, lambda p: MatrixMap(sparse.csr_array(np.ones((len(p), 1)))))
    if isinstance(config, PiecewiseConfig | UniformConfig):
        assert config.cells is not None
        ends = zip(extent, config.cells, strict=True)
        edges = [np.linspace(a, b, n + 1) for (a, b), n in ends]
        return Field(prior, lambda p: MatrixMap(cell_choice(edges, p)))
    axes = [variable.coords[a][1] for a in "xyz"[:d]]
    return Field(prior, lambda p: MatrixMap(multilinear(axes, p)))


def _field(config: Any, domain: Domain, labels: dict[str, str]) -> Field:
    """The field that a configuration describes, on the bounding box or on the mesh of level 0."""
    match config:
        case EllipsesConfig() | HeartAndLungsConfig():
            half = (domain.extent[0][1], domain.extent[1][1])
            return Field(shape_prior(config, half), lambda p: ellipse_map(config, p))
        case ElementsConfig():
            return _on_elements(config, domain, labels)
        case LogGaussianConfig(representation="spde"):
            return _on_vertices(config, domain, labels)
    return _on_grid(config, domain, labels)


class Unknown:
    """m = (conductivity, permittivity where unknown, impedances where unknown).

    Args:
        config: of the problem.
        domain: its body.

    Attributes:
        conductivity: the field σ.
        permittivity: the field ε, if it is unknown.
        impedances: z of every electrode, or its median where it is unknown.

    Raises:
        ConfigError: electrodes that overlap or leave the boundary, or another number of impedances.
    """

    def __init__(self, config: EitConfig, domain: Domain) -> None:
        self.config, self.domain = config, domain
        n, e = len(domain.electrodes), config.electrodes
        self.impedances = e.per_electrode("impedance", e.impedance, n) if n else np.zeros(0)
        self.conductivity = _field(config.unknown, domain, _CONDUCTIVITY)
        constant = isinstance(config.permittivity, Constant)
        self.permittivity = None if constant else _field(config.permittivity, domain, _PERMITTIVITY)

    @property
    def knows_impedances(self) -> bool:
        """Whether the contact impedances are given."""
        return self.config.electrodes.impedance_std == 0 or self.config.model == "continuum"

    @cached_property
    def prior(self) -> Prior:
        """The prior of m."""
        factors: list[Prior] = [self.conductivity.prior]
        if self.permittivity is not None:
            factors.append(self.permittivity.prior)
        if not self.knows_impedances:
            factors.append(self._impedance_prior())
        return factors[0] if len(factors) == 1 else ProductPrior(tuple(factors))

    def _impedance_prior(self) -> FieldPrior:
        n = len(self.impedances)
        number = {"electrode": (("electrode",), np.arange(n, dtype=np.float64))}
        attrs = {"electrode": {"units": "1", "long_name": "number of the electrode"}}
        variable = Variable(
            "impedance", ("electrode",), (n,), "ohm m2", "contact impedance", number, attrs
        )
        std = np.full(n, self.config.electrodes.impedance_std)
        law = IndependentField(np.log(self.impedances), std)
        return FieldPrior(Space((variable,)), law, Exponential())

    @cached_property
    def cuts(self) -> tuple[int, int]:
        """Where conductivity ends and where impedances begin in m."""
        a = self.conductivity.prior.space.size
        b = 0 if self.permittivity is None else self.permittivity.prior.space.size
        return a, a + b

    def impedances_of(self, m: Array) -> Array:
        """z of every electrode."""
        return self.impedances if self.knows_impedances else m[self.cuts[1] :]
