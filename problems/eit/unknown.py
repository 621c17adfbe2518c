"""What m holds - conductivity, permittivity, contact impedances - and the maps from m to each."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.prior import FieldPrior, Prior, ProductPrior
from pdeinv.bayes.transforms import Exponential
from pdeinv.fem.field_unknown import FieldUnknown, Labels, Nodes
from pdeinv.model.coefficient import Affine
from pdeinv.model.simplices import Simplices, cell_values_on
from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

from .domain import Domain
from .setup.config import Constant, EitConfig, ElementsConfig
from .setup.shapes import EllipsesConfig, HeartAndLungsConfig, ellipse_map, shape_prior

__all__ = ["Unknown"]

_CONDUCTIVITY = Labels("conductivity", "S m-1", "electrical conductivity")
_PERMITTIVITY = Labels("permittivity", "F m-1", "electrical permittivity")


def _on_elements(config: ElementsConfig, domain: Domain, labels: Labels) -> FieldUnknown:
    mesh = domain.mesh(0)
    k, axes = len(mesh.cells), "xyz"[: domain.dim]
    centres = mesh.points[mesh.cells].mean(axis=1)
    coords = {a: (("element",), centres[:, i]) for i, a in enumerate(axes)}
    attrs = {a: {"units": "m", "long_name": f"{a} of the cell's centre"} for a in axes}
    variable = Variable(
        labels.name, ("element",), (k,), labels.units, labels.long_name, coords, attrs
    )
    law = IndependentField(np.full(k, config.mean), np.full(k, config.std))
    prior = FieldPrior(Space((variable,)), law, Exponential())
    return FieldUnknown(
        config.kind,
        prior,
        lambda p: Affine(cell_values_on(mesh.points, mesh.cells, p)),
        Simplices(mesh.points, mesh.cells),
    )


def _field(config: Any, domain: Domain, labels: Labels) -> FieldUnknown:
    """The field that a configuration describes, on the bounding box or on the mesh of level 0."""
    match config:
        case EllipsesConfig() | HeartAndLungsConfig():
            half = (domain.extent[0][1], domain.extent[1][1])
            return FieldUnknown(
                config.kind, shape_prior(config, half), lambda p: ellipse_map(config, p)
            )
        case ElementsConfig():
            return _on_elements(config, domain, labels)
    return FieldUnknown.of(
        config, domain.extent, labels, lambda: Nodes.of_simplices(domain.mesh(0))
    )


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
    def mesh(self) -> Simplices | None:
        """The mesh that conductivity or permittivity are numbers on, if one of them is."""
        fields = [f for f in (self.conductivity, self.permittivity) if f is not None]
        return next((f.mesh for f in fields if f.mesh is not None), None)

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
