"""Prescribed values by construction: u = G + s D N, with G on and D zero on the held faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.model.strong_form import Side, StrongForm
from pdeinv.typing import Array

from ..common.torch_env import torch
from .network import Jets

__all__ = ["Ansatz", "Frame", "derivatives", "prescribed"]


@dataclass(frozen=True)
class Frame:
    """G and D at fixed points, with their derivatives.

    Attributes:
        lift: G, (n, outputs).
        distance: D, (n, 1).
        scale: s, the typical size of u.
    """

    lift: Jets
    distance: Jets
    scale: float

    def __call__(self, net: Jets, numbers: Mapping[str, Any] | None = None) -> Jets:
        """u with its derivatives, by the product rule, beside the numbers."""
        g, d, s, curved = self.lift, self.distance, self.scale, list(net.curved)
        value = g.value + s * d.value * net.value
        slopes = g.slopes + s * (d.slopes * net.value + d.value * net.slopes)
        mixed = d.slopes[curved] * net.slopes[curved]
        curves = g.curves + s * (d.curves * net.value + 2.0 * mixed + d.value * net.curves)
        return Jets(value, slopes, curves, net.curved, numbers or {})


class Ansatz:
    """The frame of a strong form anywhere in its box.

    G interpolates the prescribed values from face to face (transfinite interpolation, Gordon and
    Hall 1973); D is the product of the distances to the held faces (Lagaris, Likas and Fotiadis
    1998), 4 ξ(1 − ξ) between two and ξ from one, time included. A form may bring its own.

    Args:
        form: the strong form.

    Raises:
        ConfigError: two held faces prescribe different values where they meet.
    """

    def __init__(self, form: StrongForm) -> None:
        self.form = form
        _check_corners(form)

    def frame(self, points: Array, dtype: Any) -> Frame:
        """G and D at points (n, d)."""
        curved = self.form.curved
        lift = derivatives(lambda x: self._parts(x)[0], points, curved, dtype)
        distance = derivatives(lambda x: self._parts(x)[1], points, curved, dtype)
        return Frame(lift, distance, self.form.scale)

    def _parts(self, x: Any) -> tuple[Any, Any]:
        form = self.form
        if form.lift is not None:
            return form.lift(x)
        return prescribed(form, x), _distance(form, x)


def prescribed(form: StrongForm, points: Any) -> Any:
    """G: a smooth function with the prescribed values on every held face, zero without any."""
    levels = [
        [side for side in (Side(axis, 0), Side(axis, 1)) if side in form.held]
        for axis in range(form.dim)
    ]

    def built(count: int, x: Any) -> Any:
        if count == 0:
            return x[:, :1] * x.new_zeros(1, len(form.outputs))
        total = built(count - 1, x)
        sides = levels[count - 1]
        for side in sides:
            face = _on(form, side, x)
            gap = form.held[side](face) - built(count - 1, face)
            total = total + _blend(form, side, x, len(sides)) * gap
        return total

    return built(form.dim, points)


def _on(form: StrongForm, side: Side, x: Any) -> Any:
    """The points moved onto a face."""
    columns = list(x.unbind(1))
    columns[side.axis] = columns[side.axis] * 0.0 + form.box[side.axis][side.end]
    return torch.stack(columns, dim=1)


def _unit(form: StrongForm, axis: int, x: Any) -> Any:
    low, high = form.box[axis]
    return ((x[:, axis] - low) / (high - low))[:, None]


def _blend(form: StrongForm, side: Side, x: Any, count: int) -> Any:
    """One on its face and zero on the opposite one, where that is held too."""
    if count == 1:
        return 1.0
    xi = _unit(form, side.axis, x)
    return xi if side.end else 1.0 - xi


def _distance(form: StrongForm, x: Any) -> Any:
    """D."""
    total = x[:, :1] * 0.0 + 1.0
    for axis in range(form.dim):
        xi = _unit(form, axis, x)
        low, high = Side(axis, 0) in form.held, Side(axis, 1) in form.held
        if low and high:
            total = total * 4.0 * xi * (1.0 - xi)
        elif low or high:
            total = total * (xi if low else 1.0 - xi)
    return total


def derivatives(
    function: Callable[[Any], Any], points: Array, curved: tuple[int, ...], dtype: Any
) -> Jets:
    """A function of points (n, d) to (n, k) with the derivatives that autograd supplies."""
    x = torch.as_tensor(points, dtype=torch.float64).requires_grad_()
    value = function(x)
    slopes = x.new_zeros(x.shape[1], *value.shape)
    curves = x.new_zeros(len(curved), *value.shape)
    for j in range(value.shape[1]):
        grad = _gradient(value[:, j], x, keep=True)
        slopes[:, :, j] = grad.detach().T
        for k, i in enumerate(curved):
            curves[k, :, j] = _gradient(grad[:, i], x)[:, i]
    value, slopes, curves = (p.detach().to(dtype) for p in (value, slopes, curves))
    return Jets(value, slopes, curves, curved)


def _gradient(values: Any, x: Any, keep: bool = False) -> Any:
    """∂Σ values/∂x, zero where nothing depends on x."""
    if not values.requires_grad:
        return torch.zeros_like(x)
    (grad,) = torch.autograd.grad(
        values.sum(), x, create_graph=keep, retain_graph=True, allow_unused=True
    )
    return torch.zeros_like(x) if grad is None else grad


def _check_corners(form: StrongForm) -> None:
    rng = np.random.default_rng(0)
    unit = np.concatenate([rng.random((32, form.dim)), np.full((1, form.dim), 0.5)])
    points = np.array([a for a, _ in form.box]) + form.lengths * unit
    x = torch.as_tensor(points, dtype=torch.float64)
    for one, two in combinations(sorted(form.held), 2):
        if one.axis == two.axis:
            continue
        corner = _on(form, one, _on(form, two, x))
        gap = (form.held[one](corner) - form.held[two](corner)).abs().max()
        if float(gap) > 1e-9 * form.scale:
            raise ConfigError(
                f"the values prescribed at {_name(form, one)} and {_name(form, two)} differ by "
                f"{float(gap):.3g} where they meet, which a smooth network cannot follow; make "
                "them agree, or use a finite-element method"
            )


def _name(form: StrongForm, side: Side) -> str:
    return f"{form.axes[side.axis]} = {form.box[side.axis][side.end]:g}"
