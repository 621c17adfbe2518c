"""One figure per file: posterior mean and spread, marginals, sensors, or the fields of a truth."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdeinv.config import differing, named
from pdeinv.errors import ConfigError, DataSchemaError, PdeinvError, RunFailed, reason
from pdeinv.foreign import visible
from pdeinv.io import netcdf
from pdeinv.io.atomic import atomic
from pdeinv.io.fields import PROBLEM, check_one_problem, config_of, run_tables_of
from pdeinv.io.marks import figure_metadata
from pdeinv.io.schema import fitting
from pdeinv.jobs.plot.layout import arranged
from pdeinv.jobs.plot.observed import observation_panels
from pdeinv.jobs.plot.panels import RED, Panel
from pdeinv.jobs.plot.portraits import portrait_panels
from pdeinv.jobs.plot.profiles import Line, profile_panels, truth_profile_panels
from pdeinv.jobs.plot.result import Claim, result_panels
from pdeinv.jobs.plot.shown import shown
from pdeinv.jobs.plot.truth import truth_panels, unknown_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["check_figure_name", "draw", "plot"]

FORMATS = (".png", ".pdf", ".svg")
PRIOR = "unknown"
"""The table of a problem that says what is sought, and its prior."""
LINE = 0.22
"""Height of a line above the panels, in inches."""
PADDING: Any = {"w_pad": 0.12, "h_pad": 0.08}
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.limits": (-3, 4),
    "axes.formatter.use_mathtext": True,
    "text.usetex": False,  # names hold underscores, and there may be no latex
}


def plot(
    path: Path,
    out: Path,
    *,
    truth: Path | None = None,
    profiles: Sequence[str] = (),
    dpi: int = 150,
) -> tuple[str, ...]:
    """Draw the figure of a result, observation or truth file.

    Args:
        path: what to draw.
        out: .png, .pdf or .svg.
        truth: a truth file to show beside a result.
        profiles: lines along which unknown fields are shown too, such as ``x=300``.
        dpi: resolution of a .png.

    Returns:
        What a reader of the figure should know beside.

    Raises:
        ConfigError: an unknown suffix, or a line that is not in the field.
        DataSchemaError: a file that cannot be read or drawn.
        RunFailed: matplotlib cannot be loaded.
    """
    check_figure_name(out)
    lines = [Line.of(text) for text in profiles]
    _matplotlib()  # first of all, as panels use parts of it
    tree = netcdf.read_tree(path)
    found = netcdf.kind_of(tree)
    reference = None if truth is None else netcdf.read_tree(truth)
    if reference is not None and truth is not None:
        unknown_of(reference, truth)
        check_one_problem({path: tree.attrs.get(PROBLEM), truth: reference.attrs.get(PROBLEM)})
    with fitting(path, "drawn"):
        if found == "result":
            claim = Claim.of(tree, reference)
            both = None if reference is None or truth is None else (reference, truth)
            first, claim = _portrait(tree, path, both, claim)
            cut = profile_panels(tree, reference, claim, lines)
            draw([*first, *result_panels(tree, reference, claim), *cut], out, dpi, claim)
        elif found == "truth":
            draw([*truth_panels(tree, path), *truth_profile_panels(tree, lines)], out, dpi)
        elif lines:
            raise ConfigError("--profile is for results and truths; leave it out")
        elif found == "observations":
            draw(observation_panels(tree.to_dataset()), out, dpi)
        else:
            raise DataSchemaError(f"{path}: nothing to draw in a file of kind '{found}'")
    if found != "result" or reference is None or truth is None:
        return ()
    return _apart((tree, path), (reference, truth))


def _apart(result: tuple[xr.DataTree, Path], truth: tuple[xr.DataTree, Path]) -> tuple[str, ...]:
    """A note of a truth whose problem is configured in another way than that of the result.

    Priors may differ, as a truth of another kind of unknown is a fair test.
    """
    (tree, path), (reference, place) = result, truth
    try:
        whole = run_tables_of(tree.attrs, path)
        real = config_of(reference.to_dataset().attrs, place)
    except ConfigError:  # the fields can be drawn without
        return ()
    own = named(whole.get("problem", {}))[1]
    keys = differing({**own, PRIOR: None}, {**real, PRIOR: None})
    if not own or not real or not keys:
        return ()
    return (f"{place.name} is of another configuration than {path.name}: {', '.join(keys)}",)


def _portrait(
    tree: xr.DataTree, path: Path, truth: tuple[xr.DataTree, Path] | None, claim: Claim
) -> tuple[list[Panel], Claim]:
    """The panels of the state in its body; a claim that says why where they cannot be made."""
    try:
        found = shown(tree, path, truth, point=claim.point)
    except PdeinvError as error:
        return [], replace(claim, unseen=str(error))
    if found is None:
        return [], claim
    return portrait_panels(found, claim.centre, claim.spread), claim


def check_figure_name(out: Path, flag: str = "--out") -> None:
    """Refuse a name that does not tell the format.

    Raises:
        ConfigError: an unknown suffix.
    """
    if out.suffix not in FORMATS:
        raise ConfigError(f"{flag} {out}: expected a name that ends in {', '.join(FORMATS)}")


def draw(panels: list[Panel], out: Path, dpi: int, claim: Claim | None = None) -> None:
    """Arrange the panels on a grid and write the file in one step.

    Args:
        panels: in their order, row by row.
        out: .png, .pdf or .svg.
        dpi: resolution of a .png.
        claim: of a result; what is not converged, or not in a truth, is said above the panels.
    """
    mpl = _matplotlib()
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    sheet = arranged(panels)
    said = [] if claim is None else claim.warning.splitlines()
    head = "\n".join(textwrap.fill(line, 45 * sheet.columns) for line in said)
    with mpl.rc_context(STYLE):
        width, height = sheet.size
        size = (width, height + LINE * len(head.splitlines()))
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(**PADDING))
        for panel, ax in sheet.axes(figure):
            panel(ax)
        if head:
            figure.suptitle(head, color=RED, fontsize=10)
        _take_plainly(figure)
        metadata = figure_metadata(out.suffix, "" if claim is None else claim.title)
        image = BytesIO()  # on a full disk matplotlib would leave its file open
        figure.savefig(image, format=out.suffix.removeprefix("."), dpi=dpi, metadata=metadata)
    with atomic(out) as target:
        target.write_bytes(image.getvalue())


def _take_plainly(figure: Figure) -> None:
    """Titles, labels and legends hold text of files: no formulas are read from it, nothing hidden.

    Tick labels are matplotlib's own.
    """
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    ticks = {id(t) for ax in figure.findobj(Axis) for t in ax.findobj(Text) if t is not ax.label}
    for text in figure.findobj(Text):
        if id(text) not in ticks:
            text.set_parse_math(False)
            text.set_text(visible(text.get_text(), line=False))


def _matplotlib() -> Any:
    """The module; a notebook's or desktop's backend in MPLBACKEND is not loaded.

    Figures are written without a window, and that backend may belong to another environment.

    Raises:
        RunFailed: it cannot be loaded, most often for a file matplotlibrc.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        return import_module("matplotlib")
    except (ImportError, OSError, ValueError) as error:
        raise RunFailed(
            f"matplotlib cannot be loaded ({reason(error)}); correct or remove its file "
            "matplotlibrc"
        ) from None
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
