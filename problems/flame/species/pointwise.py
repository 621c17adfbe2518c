"""The equations of a flame of five species at points, by the formulas of the elements.

Of the fields w = (T, Y_1..Y_4), and V and M of a counterflow, with their derivatives:

    M Y_k′ + j_k′ − W_k ω_k = 0
    M c_p T′ + Σ j_k c_pk T′ + Σ h_k W_k ω_k − (λ T′)′ = 0
    M V′ + ρ V² + Λ − (μ V′)′ = 0,    M′ + 2 ρ V = 0

Fluxes are differentiated by x as functions of w and w′ along (w′, w″).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .dual import Dual, DualFunctions
from .gas import SPECIES, STEP, Reaction
from .parameters import Setting
from .physics import Functions, Local

__all__ = ["COLDEST", "Pointwise", "fractions"]

COLDEST = 100.0
"""Temperatures below this one, K, which only a search passes, count as this in properties."""

SOME = len(SPECIES) - 1


class _Tensors:
    """What the formulas of the gas need, of torch."""

    def ln(self, x: Any) -> Any:
        """The natural logarithm."""
        return x.log()

    def exp(self, x: Any) -> Any:
        """e^x."""
        return x.exp()

    def sqrt(self, x: Any) -> Any:
        """√x."""
        return x.sqrt()

    def max_value(self, x: Any, y: float) -> Any:
        """The larger one."""
        return x.clamp(min=y)

    def min_value(self, x: Any, y: float) -> Any:
        """The smaller one."""
        return x.clamp(max=y)


def fractions(values: Any, first: Any, second: Any) -> tuple[Any, Any, Any]:
    """Softmax of logits (n, 4) beside a zero, and its derivatives by x, each (n, 5).

    All are positive and sum to one. Y_k′ = Y_k (z_k′ − Σ Y z′), and so on.
    """
    import torch

    z, z1, z2 = (torch.nn.functional.pad(part, (0, 1)) for part in (values, first, second))
    y = torch.softmax(z, dim=1)
    lead = z1 - (y * z1).sum(1, keepdim=True)
    y1 = y * lead
    bend = z2 - (y1 * z1 + y * z2).sum(1, keepdim=True)
    return y, y1, y1 * lead + y * bend


@dataclass(frozen=True)
class Pointwise:
    """Left-hand sides of the equations.

    Attributes:
        setting: configuration, gas and streams.
        reaction: the rate.
    """

    setting: Setting
    reaction: Reaction

    def local(self, w: Any, slopes: Any, numbers: Mapping[str, Any]) -> Local:
        """The gas where T and all five fractions are w, (n, 6 or more)."""
        return self._local(_Tensors(), _columns(w), _columns(slopes), numbers)

    def _local(
        self, functions: Functions, w: list[Any], slopes: list[Any], numbers: Mapping[str, Any]
    ) -> Local:
        temperature, species = functions.max_value(w[0], COLDEST), slice(1, len(SPECIES) + 1)
        return Local(
            self.setting.gas, self.reaction, temperature, w[species], slopes[species], numbers,
            functions,
        )  # fmt: skip

    def _divergences(self, fields: tuple[Any, Any, Any], numbers: Mapping[str, Any]) -> list[Any]:
        """The derivatives by x of −λ T′, of j_k and, of a counterflow, of −μ V′."""
        value, first, second = (_columns(part) for part in fields)
        w = [Dual(a, b) for a, b in zip(value, first, strict=True)]
        slopes = [Dual(a, b) for a, b in zip(first, second, strict=True)]
        gas = self._local(DualFunctions(), w, slopes, numbers)
        found = [-gas.conductivity * slopes[0], *gas.fluxes[:SOME]]
        if self.setting.counterflow:
            found.append(-gas.viscosity * slopes[6])
        return [flux.change for flux in found]

    def balances(
        self, fields: tuple[Any, Any, Any], flux: Any, numbers: Mapping[str, Any]
    ) -> list[Any]:
        """Energy, species and, of a counterflow, momentum and mass, each (n, 1), in SI units.

        Args:
            fields: T, five fractions and, of a counterflow, V and M; their first and second
                derivatives; each (n, 6 or 8).
            flux: M, (n, 1) or (1, 1).
            numbers: those of :data:`.physics.SCALED`.
        """
        w, w1, _ = fields
        change, gas, by_x = (
            self._divergences(fields, numbers),
            self.local(w, w1, numbers),
            w1[:, :1],
        )
        carried, released = flux * gas.heat_capacity, 0.0
        for j, c, h, rate in zip(
            gas.fluxes, gas.heat_capacities, gas.enthalpies, gas.rates, strict=True
        ):
            carried, released = carried + j * c, released + h * rate
        found = [carried * by_x + released + change[0]]
        for k in range(SOME):
            found.append(flux * w1[:, k + 1 : k + 2] + change[k + 1] - gas.rates[k])
        if self.setting.counterflow:
            spread = w[:, 6:7]
            found.append(
                flux * w1[:, 6:7] + gas.density * spread**2 + numbers["eigenvalue"] + change[5]
            )
            found.append(w1[:, 7:8] + 2 * gas.density * spread)
        return found

    def conserved(self, w: Any, numbers: Mapping[str, Any], balances: list[Any]) -> list[Any]:
        """What holds without the reaction: enthalpy, and moles of O2, H2O and CO2 beside fuel.

        Sums of the balances, which a search can be asked to meet more strictly than those: what
        the reaction makes of one of them is lost in another.

        Args:
            w: the fields, as in :meth:`balances`.
            numbers: likewise.
            balances: that it gave.
        """
        energy, *species = balances[: SOME + 1]
        enthalpies = self.local(w, 0.0 * w, numbers).enthalpies
        for h, balance in zip(enthalpies, species, strict=False):
            energy = energy + (h - enthalpies[-1]) * balance
        moles = [
            balance / (step * float(weight))
            for balance, step, weight in zip(species, STEP, self.setting.gas.weights, strict=False)
        ]
        fuel = moles.pop(SPECIES.index("CH4"))
        return [energy, *(some - fuel for some in moles)]

    def integrals(self, fields: tuple[Any, Any, Any], flux: Any, numbers: Mapping[str, Any],
                  inlet: tuple[float, Any]) -> list[Any]:  # fmt: skip
        """What a free flame conserves: 0 = M (h − h_in) + Σ j_k h_k − λ T′, and moles by reaction.

        The latter are those of the fuel that is used, M (Y_k − Y_k,in) + j_k over W_k and the
        number that the reaction makes, by O2, H2O and CO2 less those by CH4.

        Args:
            fields: as in :meth:`balances`.
            flux: M.
            numbers: likewise.
            inlet: enthalpy, J kg-1, and mass fractions of the reactants, whose gradients vanish.
        """
        w, w1, _ = fields
        gas, weights = self.local(w, w1, numbers), self.setting.gas.weights
        energy, used = -gas.conductivity * w1[:, :1] - flux * inlet[0], []
        for y, j, h in zip(gas.fractions, gas.fluxes, gas.enthalpies, strict=True):
            energy = energy + (flux * y + j) * h
        for k in range(SOME):
            gone = flux * (gas.fractions[k] - float(inlet[1][k])) + gas.fluxes[k]
            used.append(gone / (STEP[k] * float(weights[k])))
        fuel = used.pop(SPECIES.index("CH4"))
        return [energy, *(moles - fuel for moles in used)]


def _columns(table: Any) -> list[Any]:
    return [table[:, k : k + 1] for k in range(table.shape[1])]
