"""The priors of heat problems: what m is, and the sparse matrices that take fields to points."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior
from pdeinv.bayes.prior_config import PiecewiseConfig, UniformConfig, build, build_spde
from pdeinv.bayes.transforms import Exponential, Identity, Interval
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.fem.domain import Domain
from pdeinv.fem.mesh import PlainMesh, rectangle
from pdeinv.fem.multilinear import cell_choice, multilinear
from pdeinv.fem.p1 import barycentric, p1_matrices
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

from .config import HeatConfig
from .unknown_config import (
    ConductivityConfig,
    InitialStateConfig,
    PointSourcesConfig,
    RobinConfig,
    SideFluxConfig,
    SourceConfig,
)

__all__ = ["Unknown", "field_unknown", "unknown_of"]

FieldUnknown = InitialStateConfig | SourceConfig | ConductivityConfig


@dataclass(frozen=True)
class Unknown:
    """The prior, with the way from m to a field where m is one.

    Attributes:
        prior: of m.
        mesh: the triangles whose nodes carry m, where it lives on a mesh.
        edges: edges of the cells along x, y, z, where m has one value per cell.
    """

    prior: Prior
    mesh: PlainMesh | None = None
    edges: tuple[Array, ...] | None = None

    @property
    def variable(self) -> Variable:
        """The first variable of m."""
        return self.prior.space.variables[0]

    def to_points(self, points: Array) -> Any:
        """P with field(p) = (P m)(p), for points (n, d).

        Raises:
            CapabilityError: m is no field on the domain.
        """
        if not isinstance(self.prior, FieldPrior):
            raise CapabilityError(
                "this unknown is a list of numbers, not a field; use what needs no grid"
            )
        if self.mesh is not None:
            return barycentric(self.mesh, points)
        if not self.variable.dims:
            return sparse.csr_array(np.ones((len(points), 1)))
        if self.edges is not None:
            return cell_choice(self.edges, points)
        axes = [self.variable.coords[name][1] for name in self.variable.dims[::-1]]
        return multilinear(axes, points)

    @cached_property
    def nodes(self) -> Array:
        """Where the entries of m live, shape (n_m, d)."""
        v = self.variable
        if self.mesh is not None:
            return self.mesh.points
        axes = [v.coords[name][1] for name in v.dims]
        grid = np.meshgrid(*axes, indexing="ij")[::-1]
        return np.stack([c.ravel() for c in grid], axis=1)


def field_unknown(
    config: HeatConfig, domain: Domain, prior: Any, labels: tuple[str, str, str]
) -> Unknown:
    """An unknown field on the domain's bounding box, or on the nodes of a triangle mesh.

    Args:
        config: the problem.
        domain: its domain.
        prior: configuration of the prior.
        labels: name, units and long name.
    """
    name, units, long_name = labels
    words = {"name": name, "units": units, "long_name": long_name}
    length = config.units.coordinate
    if getattr(prior, "representation", "") == "spde":
        return _on_mesh(config, domain, prior, words)
    built = build(prior, **words, extent=domain.extent, coord_units=length)
    edges = None
    if isinstance(prior, PiecewiseConfig | UniformConfig) and prior.cells is not None:
        edges = tuple(
            np.linspace(low, high, n + 1)
            for (low, high), n in zip(domain.extent, prior.cells, strict=True)
        )
    return Unknown(built, edges=edges)


def _on_mesh(config: HeatConfig, domain: Domain, prior: Any, words: dict[str, str]) -> Unknown:
    if domain.dim != 2:
        raise ConfigError(
            "representation 'spde' needs a plane domain here; use 'kl' or 'fft' in 1-D and 3-D"
        )
    if domain.file is not None:
        mesh = domain.plane.triangulated()
    else:
        nx, ny = prior.grid
        mesh = rectangle((config.lengths[0], config.lengths[1]), (nx - 1, ny - 1), "triangle")
    built = build_spde(prior, p1_matrices(mesh), **words, coord_units=config.units.coordinate)
    v = built.space.variables[0]
    coords = {name: (("vertex",), array) for name, (_, array) in v.coords.items()}
    space = Space((replace(v, dims=("vertex",), coords=coords),))
    return Unknown(replace(built, space=space), mesh=mesh)


def _numbers(name: str, n: int, units: str, long_name: str) -> Space:
    return Space((Variable(name, ("point_source",), (n,), units, long_name),))


def _point_sources(config: HeatConfig, domain: Domain, u: PointSourcesConfig) -> Unknown:
    """Positions uniform in a box, velocities normal, strengths log-normal; see variable names."""
    d, n, one = domain.dim, u.count, np.ones(u.count)
    low = u.low or tuple(a for a, _ in domain.extent)
    high = u.high or tuple(b for _, b in domain.extent)
    standard = IndependentField(0 * one, one)
    length, time = config.units.coordinate, config.units.time
    factors: list[Prior] = []
    for axis, a, b in zip("xyz", low, high, strict=False):
        space = _numbers(f"start_{axis}", n, length, f"{axis} of the source at t = 0")
        factors.append(FieldPrior(space, standard, Interval(a * one, b * one)))
    if u.speed > 0:
        for axis in "xyz"[:d]:
            space = _numbers(f"speed_{axis}", n, f"{length} {time}-1", f"velocity along {axis}")
            factors.append(FieldPrior(space, IndependentField(0 * one, u.speed * one), Identity()))
    strength = _numbers("strength", n, f"({config.units.source}) {length}{d}", "source strength")
    law = IndependentField(u.strength.mean * one, u.strength.std * one)
    factors.append(FieldPrior(strength, law, Exponential()))
    return Unknown(ProductPrior(tuple(factors)))


def _robin(config: HeatConfig, u: RobinConfig) -> Unknown:
    name, long_name = "heat_transfer", f"heat transfer coefficient of side {u.side}"
    variable = Variable(name, (), (), config.units.robin, long_name)
    one = np.ones(1)
    if isinstance(u.prior, UniformConfig):
        prior = FieldPrior(
            Space((variable,)),
            IndependentField(0 * one, one),
            Interval(u.prior.low * one, u.prior.high * one),
        )
    else:
        law = IndependentField(u.prior.mean * one, u.prior.std * one)
        prior = FieldPrior(Space((variable,)), law, Exponential())
    return Unknown(prior)


def _side_flux(config: HeatConfig, u: SideFluxConfig) -> Unknown:
    units = config.units
    built = build(
        u.prior,
        name="inward_flux",
        units=units.flux,
        long_name=f"heat flux into the body through side {u.side}",
        extent=((0.0, config.time.final),),
        coord_units=units.time,
    )
    v = built.space.variables[0]
    times = {"knot": (("knot",), v.coords["x"][1])}
    attrs = {"knot": {"units": units.time, "long_name": "time of the knot"}}
    timed = replace(v, dims=("knot",), coords=times, coord_attrs=attrs)
    return Unknown(replace(built, space=Space((timed,))))


def unknown_of(config: HeatConfig, domain: Domain) -> Unknown:
    """The unknown that a configuration describes."""
    u, units = config.unknown, config.units
    match u:
        case InitialStateConfig():
            labels = ("initial_state", units.u, "temperature at t = 0")
        case SourceConfig():
            labels = ("source", units.source, "heat source")
        case ConductivityConfig():
            labels = ("conductivity", units.conductivity, "thermal conductivity")
        case PointSourcesConfig():
            return _point_sources(config, domain, u)
        case RobinConfig():
            return _robin(config, u)
        case SideFluxConfig():
            return _side_flux(config, u)
    return field_unknown(config, domain, u.prior, labels)
