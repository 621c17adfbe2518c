"""The priors of heat problems: what m is, and its values at points where it is a field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pdeinv.bayes.field_prior import build, uniform_prior
from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior
from pdeinv.bayes.prior_config import UniformConfig
from pdeinv.bayes.transforms import Exponential, Identity
from pdeinv.fem.domain import Domain
from pdeinv.fem.field_unknown import FieldUnknown, Labels, Nodes
from pdeinv.model.spaces import Space, Variable

from .config import HeatConfig
from .unknown_config import (
    ConductivityConfig,
    InitialStateConfig,
    LogNormalConfig,
    PointSourcesConfig,
    RobinConfig,
    SideFluxConfig,
    SourceConfig,
)

__all__ = ["unknown_of"]


def _log_normal(space: Space, law: LogNormalConfig) -> FieldPrior:
    one = np.ones(space.size)
    return FieldPrior(space, IndependentField(law.mean * one, law.std * one), Exponential())


def _point_sources(config: HeatConfig, domain: Domain, u: PointSourcesConfig) -> Prior:
    """Positions uniform in a box, velocities normal, strengths log-normal; see variable names."""
    n, one = u.count, np.ones(u.count)
    length, time = config.units.coordinate, config.units.time
    low = u.low or tuple(a for a, _ in domain.extent)
    high = u.high or tuple(b for _, b in domain.extent)

    def space(name: str, units: str, long_name: str) -> Space:
        return Space((Variable(name, ("point_source",), (n,), units, long_name),))

    factors: list[Prior] = [
        uniform_prior(
            space(f"start_{axis}", length, f"{axis} of the source at t = 0"), a * one, b * one
        )
        for axis, a, b in zip("xyz", low, high, strict=False)
    ]
    if u.speed > 0:
        law = IndependentField(0 * one, u.speed * one)
        for axis in "xyz"[: domain.dim]:
            where = space(f"speed_{axis}", f"{length} {time}-1", f"velocity along {axis}")
            factors.append(FieldPrior(where, law, Identity()))
    units = f"({config.units.source}) {length}{domain.dim}"
    factors.append(_log_normal(space("strength", units, "source strength"), u.strength))
    return ProductPrior(tuple(factors))


def _robin(config: HeatConfig, u: RobinConfig) -> Prior:
    name, long_name = "heat_transfer", f"heat transfer coefficient of side {u.side}"
    space = Space((Variable(name, (), (), config.units.robin, long_name),))
    if isinstance(u.prior, UniformConfig):
        return uniform_prior(space, np.array([u.prior.low]), np.array([u.prior.high]))
    return _log_normal(space, u.prior)


def _side_flux(config: HeatConfig, u: SideFluxConfig) -> Prior:
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
    return replace(built, space=Space((timed,)))


def unknown_of(config: HeatConfig, domain: Domain) -> FieldUnknown:
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
            return FieldUnknown.of_numbers(u.kind, _point_sources(config, domain, u))
        case RobinConfig():
            return FieldUnknown.of_numbers(u.kind, _robin(config, u))
        case SideFluxConfig():
            return FieldUnknown.of_numbers(u.kind, _side_flux(config, u))
    mesh = None if domain.file is None else lambda: Nodes.of_plane(domain.plane)
    return FieldUnknown.of(u.prior, domain.extent, Labels(*labels, units.coordinate), mesh)
