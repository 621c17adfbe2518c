"""Panels of a result: the unknown with its uncertainty, beside the truth, and the fit of data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from pdeinv.io.body import cut_mesh_of, mesh_of
from pdeinv.io.fields import UNKNOWN
from pdeinv.jobs.plot.data_fit import fit_panels
from pdeinv.jobs.plot.fields import Field, Scene, field_panels
from pdeinv.jobs.plot.kinds import derived_panels, quantity_panels, underived
from pdeinv.jobs.plot.lines import Band, band_panel, histogram, value_panel
from pdeinv.jobs.plot.overlays import overlay_of
from pdeinv.jobs.plot.panels import Panel, colour_scale, is_log, title_of, units_of
from pdeinv.jobs.plot.slices import is_line, masked
from pdeinv.jobs.plot.stages import stage_panels
from pdeinv.jobs.plot.volumes import middle

__all__ = ["Claim", "result_panels"]

MAX_MARGINALS = 16

NAMES = {
    "posterior": ("posterior mean", "posterior standard deviation"),
    "approximate": ("approximate posterior mean", "approximate standard deviation"),
    "point": ("estimate", ""),
}
"""What the mean and the spread of draws are called, by what the engine claims."""


@dataclass(frozen=True)
class Claim:
    """What a result claims to be.

    Attributes:
        produces: posterior, approximate or point.
        converged: whether the engine says that it has come to its end.
        message: the engine's verdict.
        made: problem and engine, for the title of the figure.
        lacking: what a truth was asked for but does not show: unknowns, and what follows from them.
        unseen: why the state is not shown in its body; empty where it is, or is no body's.
        told: whether a point comes with the spread that a learned inverse states of its estimate.
    """

    produces: str
    converged: bool
    message: str
    made: str
    lacking: tuple[str, ...] = ()
    unseen: str = ""
    told: bool = False

    @classmethod
    def of(cls, tree: xr.DataTree, truth: xr.DataTree | None = None) -> Claim:
        """What the root attributes of a result say, and what a truth does not."""
        attrs = tree.attrs
        parts = [str(attrs[k]) for k in ("pdeinv_problem", "pdeinv_engine") if k in attrs]
        return cls(
            str(attrs.get("pdeinv_produces", "posterior")),
            bool(int(attrs.get("pdeinv_converged", 1))),
            str(attrs.get("pdeinv_message", "")),
            " by ".join(parts),
            () if truth is None else _lacking(tree, truth),
        )

    @property
    def point(self) -> bool:
        """Whether there is one point and no uncertainty."""
        return self.produces == "point"

    @property
    def centre(self) -> str:
        """The name of the mean, or of the point, with a mark where it is not converged."""
        return self._names[0] + self.mark

    @property
    def spread(self) -> str:
        """The name of the standard deviation."""
        if self.told:
            return f"standard deviation of the learned estimate{self.mark}"
        return self._names[1] + self.mark

    @property
    def short(self) -> str:
        """The name of the mean or point in a legend."""
        return self._names[0].replace("posterior ", "")

    @property
    def mark(self) -> str:
        """What is added to titles where the result is not converged."""
        return "" if self.converged else ", not converged"

    def of_draws(self, name: str) -> str:
        """The title of a panel of draws or numbers of an unknown, which are not called mean."""
        approximate = "approximate posterior: " if self.produces == "approximate" else ""
        return f"{approximate}{name}{self.mark}"

    @property
    def title(self) -> str:
        """Of the whole figure, for its metadata."""
        return self.made + self.mark

    @property
    def warning(self) -> str:
        """What stands above the panels, one line each; nothing where all is well."""
        reason = self.message.removeprefix("not converged: ").split("; ")[0]
        parts = [p for p in (self.made, "not converged", reason) if p]
        lines = [] if self.converged else [": ".join(parts)]
        lost = ", ".join(self.lacking)
        lines += [f"the truth does not show {lost}"] if lost else []
        lines += [f"its state is not shown: {self.unseen}"] if self.unseen else []
        return "\n".join(lines)

    @property
    def _names(self) -> tuple[str, str]:
        return NAMES.get(self.produces, NAMES["posterior"])


def result_panels(tree: xr.DataTree, truth: xr.DataTree | None, claim: Claim) -> list[Panel]:
    """All panels of a result, beside the truth where it is given and shows the same unknown."""
    estimates = tree["estimates"].to_dataset()
    posterior = tree["posterior"].to_dataset()
    constants = tree["constant_data"].to_dataset()
    scene = Scene(overlay_of(constants), mesh_of(constants))
    panels: list[Panel] = []
    for name in map(str, posterior.data_vars):
        mean, sd = (masked(estimates[f"{name}_{what}"], estimates) for what in ("mean", "sd"))
        told = _told_spread(tree, name)
        sd = sd if told is None else masked(told, estimates)
        shown = Field(mean, scene)
        true = _true(name, truth, estimates, scene)
        if shown.drawable:
            panels += _map_panels(shown, sd, true, replace(claim, told=told is not None))
        else:
            prior = tree.children.get("prior")
            known = None if prior is None else prior.to_dataset(inherit=False).get(name)
            panels += _number_panels((posterior[name], mean, known), true, claim)
    return [
        *panels,
        *derived_panels(tree, truth, claim.point, claim.of_draws),
        *quantity_panels(tree, claim.point),
        *fit_panels(tree, claim.point),
        *stage_panels(tree),
    ]


def _told_spread(tree: xr.DataTree, name: str) -> xr.DataArray | None:
    """The spread that a learned inverse states of a variable, where the result has one."""
    group = tree.children.get("learned")
    return None if group is None else group.to_dataset(inherit=False).get(f"{name}_sd")


def _lacking(tree: xr.DataTree, truth: xr.DataTree) -> tuple[str, ...]:
    estimates = tree["estimates"].to_dataset()
    scene = Scene(mesh=mesh_of(tree["constant_data"].to_dataset()))
    lost = []
    for name in map(str, tree["posterior"].to_dataset().data_vars):
        true = _true(name, truth, estimates, scene)
        mean = estimates[f"{name}_mean"]
        if true is None or not _alike(Field(mean, scene), true):
            lost.append(name)
    return (*lost, *underived(tree, truth))


def _alike(shown: Field, truth: Field) -> bool:
    """Whether a truth can be drawn over or beside an estimate."""
    if shown.drawable or truth.drawable:
        return shown.drawable and truth.drawable
    same = shown.array.shape == truth.array.shape
    return same or (is_line(truth.array) and shown.array.dims == truth.array.dims)


def _true(
    name: str, truth: xr.DataTree | None, estimates: xr.Dataset, scene: Scene
) -> Field | None:
    """The variable of a truth's unknown, else the field on its mesh that shows the same.

    It is drawn within the outline of the result, and on its own grid or mesh.
    """
    if truth is None:
        return None
    unknown = truth.children["unknown"].to_dataset(inherit=False)
    if name in unknown:
        own = truth.children.get("constant_data")
        mesh = None if own is None else mesh_of(own.to_dataset(inherit=False))
        array = masked(masked(unknown[name], unknown), estimates)
        return Field(array, replace(scene, mesh=mesh))
    root = truth.to_dataset()
    for array in (a for a in root.data_vars.values() if "node" in a.dims):
        if array.attrs.get(UNKNOWN, array.name) == name:
            return Field(array, replace(scene, mesh=cut_mesh_of(root)))
    return None


def _map_panels(shown: Field, sd: xr.DataArray, truth: Field | None, claim: Claim) -> list[Panel]:
    """Truth and estimate on one scale of colours and on the same cuts, then the spread."""
    if shown.solid:
        at = middle(shown.array, shown.scene.mesh)
        shown = replace(shown, scene=replace(shown.scene, at=at))
        truth = None if truth is None else replace(truth, scene=replace(truth.scene, at=at))
    truth = truth if truth is not None and truth.drawable else None
    both = [shown.array] if truth is None else [truth.array, shown.array]
    scale, name = colour_scale(*both), title_of(shown.array)
    spread = None if claim.point and not claim.told else colour_scale(sd)
    if spread is not None and is_log(scale) != is_log(spread):
        # the logarithmic one of the two says so itself
        scale, spread = ({"note": "linear scale", **s} for s in (scale, spread))
    panels = [] if truth is None else field_panels(truth, f"truth: {name}", scale)
    panels += field_panels(shown, f"{claim.centre}: {name}", scale)
    if spread is None:
        return panels
    return [*panels, *field_panels(replace(shown, array=sd), claim.spread, spread, "magma")]


def _number_panels(
    numbers: tuple[xr.DataArray, xr.DataArray, xr.DataArray | None],
    truth: Field | None,
    claim: Claim,
) -> list[Panel]:
    """A band over the coordinate there is; else markers of a point, or marginals of draws.

    Args:
        numbers: draws, their mean, and draws of the prior where the file has them.
        truth: if known.
        claim: of the result.
    """
    draws, mean, prior = numbers
    name, true = claim.of_draws(title_of(mean)), None if truth is None else truth.array
    if is_line(mean) and mean.ndim == 1:
        along = true is not None and is_line(true) and true.ndim == 1 and true.dims == mean.dims
        band = Band.of(mean, claim.short, None if claim.point else draws)
        return [band_panel(band, true if along else None, name)]
    true = true if true is not None and true.shape == mean.shape else None
    if mean.size > MAX_MARGINALS:
        return [_numbered(draws, mean, true, claim)]
    if claim.point:
        spread = None if prior is None else prior.values.reshape(-1, mean.size)
        return [value_panel(Band(mean, claim.short), true, spread, name)]
    return _marginals(draws, true, claim)


def _numbered(
    draws: xr.DataArray, mean: xr.DataArray, true: xr.DataArray | None, claim: Claim
) -> Panel:
    """More numbers than marginals have room for, one behind the other."""
    number = np.arange(mean.size)
    rows = draws.values.reshape(*draws.shape[:2], -1)
    flat = xr.DataArray(rows, {"number": number}, ["chain", "draw", "number"], attrs=mean.attrs)
    line = xr.DataArray(np.ravel(mean.values), {"number": number}, ["number"], attrs=mean.attrs)
    band = Band.of(line, claim.short, None if claim.point else flat)
    real = None if true is None else line.copy(data=np.ravel(true.values))
    return band_panel(band, real, claim.of_draws(title_of(mean)))


def _marginals(draws: xr.DataArray, truth: xr.DataArray | None, claim: Claim) -> list[Panel]:
    """A histogram per component."""
    flat = draws.values.reshape(draws.sizes["chain"] * draws.sizes["draw"], -1)
    true = None if truth is None else np.ravel(truth.values)
    numbered = flat.shape[1] > 1
    return [
        histogram(
            flat[:, k],
            claim.of_draws(f"{draws.name}[{k}]" if numbered else title_of(draws)),
            units_of(draws),
            None if true is None else float(true[k]),
        )
        for k in range(flat.shape[1])
    ]
