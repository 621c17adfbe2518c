"""Hooks: what a problem offers besides has the shape that its users expect."""

from __future__ import annotations

from math import prod

import numpy as np
import xarray as xr

from pdeinv import extras
from pdeinv.bayes.noise import Noise
from pdeinv.config import Config
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.io.observations import Observations
from pdeinv.model.strong_form import StrongForm
from pdeinv.plugins.aligned import Measured
from pdeinv.plugins.hooks import (
    HasMask,
    HasStrongForm,
    aligned,
    derived,
    extensions,
    fixtures,
    images,
    importers,
    likelihood,
    mask,
    memory_estimate,
    metrics,
    phantom,
    portrait,
    remarks,
)
from pdeinv.plugins.problem import Importer, Metric

from .clauses import Table, hold, refused
from .problem_case import PROTOCOL, Case
from .problem_says import labels

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)

HOOKS = "pdeinv.plugins.hooks"


@CLAUSES.clause(
    "mask", "`mask` tells for each point (n, d) whether it lies in the domain", needs=("grid",),
    where=f"{HOOKS}.HasMask",
)  # fmt: skip
def mask_(case: Case) -> str | None:
    if not isinstance(case.problem, HasMask):
        return "not offered"
    grid = case.problem.grid((9,) * case.dims[0])
    nodes = np.stack([grid[a] for a in case.problem.axes], axis=1)
    found = mask(case.problem, nodes)
    hold(np.shape(found) == (len(nodes),), f"shape {np.shape(found)} for {len(nodes)} points")
    hold(np.asarray(found).dtype == bool, f"it gives {np.asarray(found).dtype}, not bool")
    hold(np.asarray(found).any(), "no node of the grid lies inside")
    far = mask(case.problem, nodes.max() + 10 * np.ptp(nodes) + nodes[:2])
    hold(not np.asarray(far).any(), "points outside the box lie inside")
    return None


@CLAUSES.clause(
    "phantom", "`phantom` refuses names that it does not know with ConfigError", needs=("built",),
    where=f"{HOOKS}.HasPhantom",
)  # fmt: skip
def phantom_(case: Case) -> str | None:
    make = phantom(case.problem)
    if make is None:
        return "not offered"
    refused(lambda: make("no-such-phantom", case.rng()), "an unknown phantom", ConfigError)
    return None


@CLAUSES.clause(
    "importers", "`importers` holds an Importer by name, each with a summary and Options",
    where=f"{HOOKS}.HasImporters",
)  # fmt: skip
def importers_(case: Case) -> str | None:
    found = importers(case.kind)
    for name, importer in found.items():
        hold(isinstance(importer, Importer), f"'{name}' is {type(importer).__name__}")
        hold(importer.summary.strip(), f"'{name}' has no summary")
        good = isinstance(importer.Options, type) and issubclass(importer.Options, Config)
        hold(good, f"Options of '{name}' is no Config")
        dumb = [k for k, f in importer.Options.model_fields.items() if not f.description]
        hold(not dumb, f"options of '{name}' without description: {', '.join(dumb)}")
        hold(callable(importer.read), f"'{name}' cannot read")
    return None if found else "not offered"


@CLAUSES.clause(
    "metrics", "`metrics` holds a Metric by name, each a number of two coefficients",
    needs=("axes",), where=f"{HOOKS}.HasMetrics",
)  # fmt: skip
def metrics_(case: Case) -> str | None:
    found = metrics(case.problem)
    for name, metric in found.items():
        hold(isinstance(metric, Metric), f"'{name}' is {type(metric).__name__}")
        hold(metric.summary.strip(), f"'{name}' has no summary")
        shape = metric.shape or (9,) * case.dims[0]
        truth = 1.0 + np.abs(case.rng().standard_normal(shape))
        number = metric.evaluate(truth, truth)
        hold(isinstance(number, float | int), f"'{name}' gives {type(number).__name__}")
    return None if found else "not offered"


@CLAUSES.clause(
    "fixtures", "`fixtures` gives a dataset that holds whole pairs of coordinates",
    needs=("built",), where=f"{HOOKS}.HasFixtures",
)  # fmt: skip
def fixtures_(case: Case) -> str | None:
    found = fixtures(case.problem)
    hold(isinstance(found, xr.Dataset), f"it gives {type(found).__name__}")
    for stem in {str(k)[:-2] for k in found.variables if str(k).endswith(("_x", "_y"))}:
        lost = [a for a in ("x", "y") if f"{stem}_{a}" not in found]
        hold(not lost, f"'{stem}' has no {', '.join(lost)}")
    return None if found.variables else "not offered"


@CLAUSES.clause(
    "extensions", "`extensions(sensors, shape)` has finite fields at every node of the grid, and "
    "for each datum one of them and a channel, counted from 0 without gaps; or ConfigError",
    needs=("sensors", "grid"), where=f"{HOOKS}.HasExtensions",
)  # fmt: skip
def extensions_(case: Case) -> str | None:
    try:
        found = extensions(case.problem, case.sensors, case.shape)
    except ConfigError as error:
        hold("\n" not in str(error), "the refusal takes more than one line")
        return "this configuration has none"
    if found is None:
        return "not offered"
    shape, n = found.fields.shape, case.size
    hold(len(shape) == 3 and shape[2] == prod(case.shape), f"fields of shape {shape}")
    hold(np.isfinite(found.fields).all(), "a field is not finite")
    hold(found.field.shape == found.channel.shape == (n,), f"not one entry for each of {n} data")
    hold(found.field.min() >= 0 and found.field.max() < shape[0], "a datum has no field")
    numbers = np.unique(found.channel)
    hold(np.array_equal(numbers, np.arange(len(numbers))), "channels are not 0, 1, ... in a row")
    return None


@CLAUSES.clause(
    "images", "`images(level)` puts states on the voxels of an image", needs=("built",),
    where=f"{HOOKS}.HasImages",
)  # fmt: skip
def images_(case: Case) -> str | None:
    found = images(case.problem, 0)
    if found is None:
        return "not offered"
    if not extras.installed("nibabel"):
        return "not tried: nibabel is not installed"
    hold(found.name.strip(), "the state has no name")
    volume = found.volume(found.state(case.m()))
    hold(volume.shape == found.grid.counts, f"{volume.shape} voxels, not {found.grid.counts}")
    hold(np.isfinite(volume).all(), "voxels are not finite")
    return None


@CLAUSES.clause(
    "portrait", "`portrait(level)` shows states on the cells of a grid", needs=("built",),
    where=f"{HOOKS}.HasPortrait",
)  # fmt: skip
def portrait_(case: Case) -> str | None:
    found = portrait(case.problem, 0)
    if found is None:
        return "not offered"
    hold(found.words.strip(), "the state has no words")
    hold(list(found.axes) in (["x", "y"], ["x", "y", "z"]), f"its axes are {list(found.axes)}")
    shape = tuple(len(a) for a in list(found.axes.values())[::-1])
    m = case.m()
    for name, cells in (("ground", found.ground), ("state", found.spread(found.state(m)))):
        hold(cells.shape == shape, f"the {name} is {cells.shape}, its grid is {shape}")
    seen = {text for words in case.problem.observed.meanings.values() for text in words.values()}
    strange = sorted(set(found.levels(m)) - seen)
    hold(not seen or not strange, f"no region of the data is called {', '.join(strange)}")
    return None


@CLAUSES.clause(
    "derived", "`derived(level)` has labelled quantities that are none of the unknown's, finite at "
    "a prior draw", needs=("data",), where=f"{HOOKS}.HasDerived",
)  # fmt: skip
def derived_(case: Case) -> str | None:
    found = derived(case.problem, 0)
    if found is None:
        return "not offered"
    dumb = labels(found.space)
    hold(not dumb, f"units or long_name missing for {', '.join(dumb)}")
    taken = {*case.prior.space.names, case.problem.observed.name, *case.problem.observed.coords}
    both = sorted(taken & set(found.space.names))
    hold(not both, f"{', '.join(both)} is a name of the unknown or the data as well")
    values = found.values(case.m())
    hold(np.shape(values) == (found.space.size,), f"shape {np.shape(values)}")
    hold(np.isfinite(values).all(), "they are not finite")
    return None


@CLAUSES.clause(
    "memory", "`memory_estimate(level)` is a number of bytes that does not fall with the level",
    needs=("built",), where=f"{HOOKS}.HasMemoryEstimate",
)  # fmt: skip
def memory(case: Case) -> str | None:
    found = [memory_estimate(case.problem, level) for level in (0, 1)]
    if found[0] is None or found[1] is None:
        return "not offered"
    hold(all(isinstance(n, int) for n in found), f"it is {found}")
    hold(0 < found[0] <= found[1], f"levels 0 and 1 take {found}")
    return None


@CLAUSES.clause(
    "remarks", "`remarks` on good data is a tuple of lines", needs=("data",),
    where=f"{HOOKS}.HasRemarks",
)  # fmt: skip
def remarks_(case: Case) -> None:
    values = case.model()(case.m())
    noise = Noise(np.full(case.size, 0.1 * float(np.abs(values).max()) or 1.0))
    found = remarks(case.problem, Observations(case.problem.observed, values, case.sensors, noise))
    hold(isinstance(found, tuple), f"it gives {type(found).__name__}")
    hold(all(isinstance(t, str) and "\n" not in t for t in found), f"it says {found}")


@CLAUSES.clause(
    "likelihood", "`likelihood(sensors)` is None or a likelihood of that many data, whose draws it "
    "takes and whose slope is its derivative", needs=("data",), where=f"{HOOKS}.HasLikelihood",
)  # fmt: skip
def likelihood_(case: Case) -> str | None:
    law = likelihood(case.problem)(case.sensors)
    if law is None:
        return "data have additive noise"
    hold(law.size == case.size, f"it is of {law.size} data, there are {case.size}")
    rng, z = np.random.default_rng(0), case.model()(case.m())
    data = law.draw(z[None], rng)[0]
    law.check(data)
    step, way = 1e-6, rng.standard_normal(case.size)
    ends = [law.misfit(z + t * way, data) for t in (step, -step)]
    slope = law.slope(z, data)[1] @ way
    off = abs(float(ends[0] - ends[1]) / (2 * step) - slope)
    hold(off <= 1e-4 * (1 + abs(slope)), f"its slope is off by {off:.2g}")
    return None


@CLAUSES.clause(
    "aligned", "`aligned` to the same body, its sensors in reverse order, is None, or the same "
    "data in that order, with unknowns that come back as they are", needs=("data",),
    where=f"{HOOKS}.HasAligned",
)  # fmt: skip
def aligned_(case: Case) -> str | None:
    problem, z = case.problem, case.model()(case.m())
    law, rng = likelihood(problem)(case.sensors), np.random.default_rng(0)
    noise = Noise(np.full(case.size, 0.1 * float(np.abs(z).max()) or 1.0))
    data = z if law is None else law.draw(z[None], rng)[0]
    there = {name: np.asarray(column)[::-1] for name, column in case.sensors.items()}
    measured = Measured(case.sensors, data, law or noise)
    found = aligned(problem, measured, lambda: problem, there)
    if found is None:
        return "not offered"
    n = len(found.columns)
    hold(len(found.values) == found.likelihood.size == n > 0, f"{n} columns, other numbers of data")
    hold(np.array_equal(found.values, data[::-1][found.columns]), "other data come out")
    xi = 0.5 * rng.standard_normal((3, problem.prior().dim))
    hold(np.allclose(found.back(xi), xi, atol=1e-6), "unknowns come back as others")
    return None


@CLAUSES.clause(
    "strong-form", "`strong_form` gives a StrongForm, or is refused with ConfigError",
    needs=("sensors",), where=f"{HOOKS}.HasStrongForm",
)  # fmt: skip
def strong_form(case: Case) -> str | None:
    if not isinstance(case.problem, HasStrongForm):
        return "not offered"
    try:
        found = case.problem.strong_form()
    except (ConfigError, CapabilityError) as error:
        hold("\n" not in str(error), "the refusal takes more than one line")
        return "this configuration has none"
    hold(isinstance(found, StrongForm), f"it gives {type(found).__name__}")
    hold(len(found.axes) == len(found.box), f"axes {found.axes} for the box {found.box}")
    for one in found.numbers:
        inside = one.low < one.start < one.high
        hold(inside, f"'{one.name}' starts at {one.start:g}, not in {one.low:g} to {one.high:g}")
    if found.focus is not None:
        part = found.focus(case.m())
        inside = all(a <= c < d <= b for (a, b), (c, d) in zip(found.box, part, strict=True))
        hold(inside, f"focus gives {part}, expected a part of the box {found.box}")
    try:
        points, _ = found.sensing(case.sensors)
    except (ConfigError, CapabilityError) as error:
        hold("\n" not in str(error), "the refusal of the data takes more than one line")
        return "these data have none"
    wanted = (case.size, found.dim)
    hold(np.shape(points) == wanted, f"sensing gives points {np.shape(points)}, expected {wanted}")
    return None
