"""Few places of a sheet stay empty, and cuts through a solid are neighbours."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from pdeinv.jobs.plot.fields import Field, Scene, field_panels
from pdeinv.jobs.plot.layout import arranged
from pdeinv.jobs.plot.panels import CutPanel


def nothing(ax):
    ax.set_gid("drawn")


def cuts(flat):
    return [CutPanel(nothing, flat) for _ in range(3)]


@pytest.mark.parametrize(
    ("panels", "columns", "rows"),
    [
        ([nothing], 1, 1),
        ([nothing] * 4, 4, 1),
        ([nothing] * 5, 3, 2),
        ([nothing] * 6, 3, 2),
        ([nothing] * 7, 4, 2),
        ([nothing] * 9, 3, 3),
        ([*cuts(flat=True), nothing], 3, 1),
        ([*cuts(flat=True), *cuts(flat=True), nothing], 3, 2),
        ([*cuts(flat=True) * 3, nothing], 4, 2),
        (cuts(flat=False), 3, 1),
        ([*cuts(flat=False), *cuts(flat=False), nothing], 4, 2),
    ],
)
def test_a_sheet_has_few_empty_places(panels, columns, rows):
    sheet = arranged(panels)
    assert (sheet.columns, len(sheet.rows)) == (columns, rows)
    drawn = [panel for panel, _ in sheet.axes(Figure())]
    assert len(drawn) == len(panels)


def boxes(sheet):
    return [ax.get_position() for _, ax in sheet.axes(Figure(figsize=sheet.size))]


def test_flat_cuts_stand_above_each_other_beside_the_third():
    above, below, beside = boxes(arranged(cuts(flat=True)))
    assert above.x0 == below.x0
    assert above.y0 > below.y1
    assert beside.x0 > above.x1
    assert beside.height > above.height + below.height


def test_no_panels_overlap():
    found = boxes(arranged([*cuts(flat=True), *cuts(flat=True), nothing, *cuts(flat=False)]))
    for i, a in enumerate(found):
        assert not any(a.overlaps(b) for b in found[:i])


@pytest.mark.parametrize(("height", "flat"), [(0.5, True), (1.0, False), (3.0, False)])
def test_the_cuts_of_a_flat_solid_are_flat(height, flat):
    axes = {a: np.linspace(0, top, 5) for a, top in (("z", height), ("y", 1.0), ("x", 1.0))}
    array = xr.DataArray(np.zeros((5, 5, 5)), axes, ["z", "y", "x"], name="k")
    panels = field_panels(Field(array, Scene()), "k", {})
    assert [p.flat for p in panels] == [flat] * 3
