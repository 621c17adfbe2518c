"""The state of a result in the body of its problem, as figures show it, and planes through it.

The draws of a result are solved again, some of them where there are many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from pdeinv.io.body import CELL
from pdeinv.io.fields import LEVEL, PROBLEM
from pdeinv.io.unknowns import unknown_in
from pdeinv.jobs.plot.overlays import Overlay, overlay_of
from pdeinv.jobs.plot.samples import Sample, at_last, samples_of
from pdeinv.jobs.plot.volumes import Cut, cuts
from pdeinv.plugins import hooks, registry
from pdeinv.plugins.portrait import Portrait
from pdeinv.plugins.states import Solved, draws_in, problem_of_result, problem_of_truth, solved
from pdeinv.typing import Array

__all__ = ["N_DRAWS", "Outlined", "Shown", "shown", "views"]

N_DRAWS = 40
"""Draws of a result that are solved for its figure, at most."""


@dataclass(frozen=True)
class Outlined:
    """A state and the values of it that are outlined.

    Attributes:
        state: on cells.
        levels: by region.
    """

    state: xr.DataArray
    levels: Mapping[str, float]

    def through(self, part: Callable[[xr.DataArray], xr.DataArray]) -> Outlined:
        """The same on a plane."""
        return Outlined(part(self.state), self.levels)


@dataclass(frozen=True)
class Shown:
    """What is drawn of a result, in a plane or in space.

    Attributes:
        words: what the state is.
        ground: of the body.
        found: the mean of the state over draws, or the state of a point, at mean levels.
        sd: of the state; None of a point.
        seen: regions in the data of the last time, by name, that lie on a grid.
        truth: if known.
        around: electrodes and the outline of the body.
        dots: data of the last time at their places over ``obs``, where no region is shown.
        draws: how many were solved.
        cut: that it is on; None where it is the whole.
    """

    words: str
    ground: xr.DataArray
    found: Outlined
    sd: xr.DataArray | None
    seen: Mapping[str, xr.DataArray]
    truth: Outlined | None
    around: Overlay
    dots: xr.DataArray | None
    draws: int
    cut: Cut | None = None

    @property
    def axes(self) -> tuple[xr.DataArray, xr.DataArray]:
        """Across and up, on a plane."""
        x, y = (self.ground[a] for a in "xyz" if a in self.ground.dims)
        return x, y


def shown(
    tree: xr.DataTree, path: Path, truth: tuple[xr.DataTree, Path] | None, *, point: bool
) -> Shown | None:
    """The state of a result, solved again; None where its problem has no portrait.

    Raises:
        PdeinvError: the problem cannot be built or solved here.
    """
    if not _offered(tree):
        return None
    problem, level = problem_of_result(tree, path)
    portrait = hooks.portrait(problem, level)
    if portrait is None:
        return None
    draws = solved(portrait.state, draws_in(tree, problem), 1 if point else N_DRAWS)
    found = Outlined(_on_cells(portrait, portrait.spread(draws.mean)), _levels(portrait, draws))
    samples = _last(tree)
    grids = {s.name: s.grid for s in samples if s.seen}
    seen = {name: grid for name, grid in grids.items() if grid is not None}
    return Shown(
        portrait.words,
        _on_cells(portrait, portrait.ground),
        found,
        None if point else _on_cells(portrait, portrait.spread(draws.sd)),
        seen,
        None if truth is None else _truth(*truth, found),
        replace(overlay_of(tree["constant_data"].to_dataset()), sensors=None),
        None if seen else _dots(samples),
        len(draws.states),
    )


def _offered(tree: xr.DataTree) -> bool:
    name = str(tree.attrs.get(PROBLEM, ""))
    known = name in registry.names("problems")
    return known and issubclass(registry.load("problems", name), hooks.HasPortrait)


def _on_cells(portrait: Portrait, values: Array) -> xr.DataArray:
    attrs = {"units": portrait.units, "location": CELL}
    coords = {a: (a, axis, attrs) for a, axis in portrait.axes.items()}
    return xr.DataArray(values, coords, list(portrait.axes)[::-1], attrs={"units": "1"})


def _levels(portrait: Portrait, draws: Solved) -> Mapping[str, float]:
    """The means over the draws."""
    each = [portrait.levels(m) for m in draws.unknowns]
    return {name: float(np.mean([levels[name] for levels in each])) for name in each[0]}


def _last(tree: xr.DataTree) -> list[Sample]:
    """The data of the last time by kind."""
    data = next(iter(tree["observed_data"].to_dataset().data_vars.values()))
    return at_last(samples_of(tree["constant_data"].to_dataset(), data))


def _dots(samples: list[Sample]) -> xr.DataArray:
    """The data of the first kind at their places."""
    first = samples[0]
    coords = {a: ("obs", column) for a, column in zip("xyz", first.places.T, strict=False)}
    return xr.DataArray(first.values, coords, ["obs"], attrs={"units": "1"})


def _near(dots: xr.DataArray, cut: Cut) -> xr.DataArray | None:
    """Those that lie on a plane through a solid; None where none do."""
    near = np.abs(dots[cut.axis].values - cut.at) <= cut.near
    return dots.isel(obs=np.flatnonzero(near)).drop_vars(cut.axis) if near.any() else None


def _truth(tree: xr.DataTree, path: Path, found: Outlined) -> Outlined | None:
    """A truth in a body of as many axes, at its own levels where it has those of the result."""
    fields = tree.to_dataset()
    problem = problem_of_truth(fields, path)
    portrait = hooks.portrait(problem, int(fields.attrs[LEVEL]))
    if portrait is None or set(portrait.axes) != set(found.state.dims):
        return None
    m = unknown_in(tree.children["unknown"].to_dataset(inherit=False), problem.prior().space)
    own = portrait.levels(m)
    levels = own if own.keys() == found.levels.keys() else found.levels
    return Outlined(_on_cells(portrait, portrait.spread(portrait.held(fields))), levels)


def views(of: Shown) -> list[Shown]:
    """The plane itself, or three cuts through the middle of the state in space."""
    if of.ground.ndim == 2:
        return [of]
    at = _middle(of.found.state)
    return [_through(of, at, k, cut) for k, (_, cut) in enumerate(cuts(of.ground, None, at))]


def _through(of: Shown, at: Mapping[str, float], k: int, cut: Cut) -> Shown:
    def part(array: xr.DataArray) -> xr.DataArray:
        return cuts(array, None, at)[k][0]

    return Shown(
        of.words,
        part(of.ground),
        of.found.through(part),
        None if of.sd is None else part(of.sd),
        {name: part(grid) for name, grid in of.seen.items()},
        None if of.truth is None else of.truth.through(part),
        of.around.on(cut),
        None if of.dots is None else _near(of.dots, cut),
        of.draws,
        cut,
    )


def _middle(state: xr.DataArray) -> dict[str, float]:
    """The mean place of a state by axis, that of the grid where it is zero."""
    total = float(state.sum())
    weight = state / total if total > 0 else xr.full_like(state, 1 / state.size)
    return {str(a): float((weight * state[a]).sum()) for a in state.dims}
