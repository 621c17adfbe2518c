"""Every clause of the kit for problems finds the violation that is planted for it."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from mutants import Mutants
from toy_problem import KNOTS, Toy, ToyConfig, ToyModel

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Exponential
from pdeinv.config import Config
from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.io.voxel_grid import VoxelGrid
from pdeinv.model.extensions import Extensions
from pdeinv.model.forward import Capability, Linearization
from pdeinv.model.spaces import Space
from pdeinv.model.strong_form import Number
from pdeinv.plugins.aligned import Aligned
from pdeinv.plugins.conformance import check_problem
from pdeinv.plugins.conformance.problem_kit import CLAUSES
from pdeinv.plugins.portrait import Portrait
from pdeinv.plugins.problem import Images, Importer, Metric

mutant = MUTANTS = Mutants(Toy, ToyConfig, CLAUSES)


def variable(space, **changes):
    return Space((replace(space.variables[0], **changes),))


# ---- what it says of itself ----


@mutant("card")
class NoReference(Toy):
    card = replace(Toy.card, reference=" ")


@mutant("built")
class Headstrong(Toy):
    def __init__(self, config=None):
        super().__init__(ToyConfig(cells=8))


@mutant("observed")
class Unitless(Toy):
    @property
    def observed(self):
        return replace(super().observed, units="")


@mutant("prior-draws")
class Random(Toy):
    def prior(self):
        class Prior(FieldPrior):
            def unwhiten(self, xi):
                return super().unwhiten(xi) * np.random.default_rng().uniform(0.9, 1.1)

        return Prior(*vars(super().prior()).values())


@mutant("prior-derivative")
class Skewed(Toy):
    def prior(self):
        class Wrong(Exponential):
            def derivative(self, x):
                return 1.1 * super().derivative(x)

        return replace(super().prior(), transform=Wrong())


@mutant("unknown-labelled")
class Wordless(Toy):
    def space(self):
        return variable(super().space(), long_name="")


@mutant("axes")
class Plane(Toy):
    axes = ("x", "y")


# ---- sensors ----


@mutant("sensors")
class Timeless(Toy):
    def sensors(self, spec):
        return {**super().sensors(spec), "t": np.zeros(1)}


@mutant("sensors-refused")
class Chatty(Toy):
    def sensors(self, spec):
        try:
            return super().sensors(spec)
        except ConfigError as error:
            raise ConfigError(f"{error}\ntry again") from None


@mutant("sensors-grid")
class AnyGrid(Toy):
    def sensors(self, spec):
        return super().sensors(spec.partition("x")[0] if "x" in spec[5:] else spec)


@mutant("sensors-outside")
class Everywhere(Toy):
    def forward_model(self, sensors, level=0):
        x = np.nan_to_num(np.asarray(sensors["x"]), nan=2.0)
        return super().forward_model({"x": np.clip(x, 0, 1)}, level)


@mutant("sensors-subset")
class Sorted(Toy):
    def forward_model(self, sensors, level=0):
        return super().forward_model({"x": np.sort(sensors["x"])}, level)


# ---- values ----


def with_model(clause):
    """The toy with another model."""

    def enter(model):
        MUTANTS[clause] = type(model.__name__, (Toy,), {"Model": model})
        return model

    return enter


@with_model("model")
class Kindless(ToyModel):
    kind = "fine"


@with_model("data-space")
class Renamed(ToyModel):
    def __init__(self, problem, sensors, level):
        super().__init__(problem, sensors, level)
        self.d_space = variable(self.d_space, name="v")


@with_model("unknown-fixed")
class Growing(ToyModel):
    def __init__(self, problem, sensors, level):
        super().__init__(problem, sensors, level)
        self.m_space = variable(self.m_space, shape=(KNOTS + level,), coords={})

    def __call__(self, m):
        return self.observation @ np.linalg.solve(self.matrix(m), np.ones(self.n - 1))


@with_model("data")
class Column(ToyModel):
    def __call__(self, m):
        return super().__call__(m)[:, None]


@with_model("repeatable")
class ById(ToyModel):
    last = None

    def __call__(self, m):
        if self.last is None or self.last[0] is not m:
            self.last = (m, super().__call__(m))
        return self.last[1]


@mutant("rebuilt")
class Numbered(Toy):
    count = 0

    def __init__(self, config=None):
        super().__init__(config)
        Numbered.count += 1
        self.number = Numbered.count

    def prior(self):
        found = super().prior()
        return replace(found, field=replace(found.field, mean=np.full(KNOTS, 0.1 * self.number)))


@with_model("levels")
class Drifting(ToyModel):
    def __init__(self, problem, sensors, level):
        super().__init__(problem, sensors, level)
        self.observation = self.observation * (1 + 0.1 * max(level, 0))


@mutant("dofs")
class Constant(Toy):
    def dofs(self, level):
        return 100


@with_model("shapes-refused")
class Padding(ToyModel):
    def state(self, m):
        return super().state(np.resize(m, KNOTS) if np.size(m) else np.ones(KNOTS))


@with_model("nan-refused")
class Repairing(ToyModel):
    def state(self, m):
        return super().state(np.where(np.isnan(m), 1.0, m))


@with_model("failed-solve")
class Crashing(ToyModel):
    def state(self, m):
        try:
            return super().state(m)
        except SolverDiverged:
            raise ZeroDivisionError("pivot 0") from None


# ---- derivatives ----


@with_model("declared")
class Promising(ToyModel):
    capabilities = frozenset()


@with_model("linearized-value")
class Rough(ToyModel):
    def linearize(self, m):
        return replace(super().linearize(m), value=np.float32(self(m)).astype(float))


@with_model("linearization-lasts")
class Shared(ToyModel):
    at = None

    def linearize(self, m):
        self.at = super().linearize(m)

        def jvp(d):
            return self.at.jvp(d)

        def vjp(w):
            return self.at.vjp(w)

        return Linearization(self.at.value, jvp, vjp)


@with_model("dot-product")
class HalfAdjoint(ToyModel):
    def linearize(self, m):
        at = super().linearize(m)
        return replace(at, vjp=lambda w: 0.999 * at.vjp(w))


@with_model("taylor")
class FirstOrder(ToyModel):
    def linearize(self, m):
        at = super().linearize(m)
        return replace(at, jvp=lambda d: 1.01 * at.jvp(d), vjp=lambda w: 1.01 * at.vjp(w))


@with_model("failed-tangent")
class FragileTangent(ToyModel):
    def linearize(self, m):
        if not np.isfinite(m).all():
            raise FloatingPointError("overflow")
        return super().linearize(m)


# ---- rows ----


@with_model("rows")
class Crowded(ToyModel):
    def rows(self, ms):
        found = super().rows(ms)
        return replace(found, values=found.values * (1 + 1e-15 * len(ms)))


@with_model("rows-values")
class Coarsened(ToyModel):
    def rows(self, ms):
        found = super().rows(ms)
        return replace(found, values=np.float32(found.values).astype(float))


@with_model("rows-fail")
class Contagious(ToyModel):
    def rows(self, ms):
        found = super().rows(ms)
        return replace(found, values=found.values + (0 if found.failures == {} else 1e-16))


@with_model("rows-linearized")
class Averaging(ToyModel):
    def linearize_rows(self, ms):
        at = super().linearize_rows(ms)
        return replace(at, vjp=lambda ws: at.vjp(ws) + 1e-15 * ws.sum())


@with_model("rows-linearized-fail")
class Zeroed(ToyModel):
    def linearize_rows(self, ms):
        at = super().linearize_rows(ms)
        return replace(at, vjp=lambda ws: np.nan_to_num(at.vjp(ws)))


@with_model("rows-at")
class Unmoved(ToyModel):
    def linearize_rows(self, ms):
        at = super().linearize_rows(ms)
        return replace(at, at=lambda i: replace(at.at(0), value=at.values[i]))


# ---- fields ----


@mutant("solve")
class Holes(Toy):
    def solve(self, m, level=1, comm=None):
        return super().solve(m, level).assign(rate=("node", np.full(self.cells(level) + 1, np.nan)))


@mutant("fields-labelled")
class Unlabelled(Toy):
    def solve(self, m, level=1, comm=None):
        found = super().solve(m, level)
        del found["x"].attrs["units"]
        return found


@mutant("observe")
class Lagging(Toy):
    def observe(self, fields, sensors):
        return super().observe(fields, {"x": np.maximum(sensors["x"] - 1e-3, 0)})


@mutant("observe-file")
class InMemory(Toy):
    solved = False

    def solve(self, m, level=1, comm=None):
        self.solved = True
        return super().solve(m, level)

    def observe(self, fields, sensors):
        return super().observe(fields, sensors) * (1.0 if self.solved else 2.0)


@mutant("names-apart")
class Clashing(Toy):
    def solve(self, m, level=1, comm=None):
        return super().solve(m, level).rename_dims(node="knot")

    def observe(self, fields, sensors):
        return super().observe(fields.rename_dims(knot="node"), sensors)


@mutant("observation-file")
class Garbling(Toy):
    def annotated(self, dataset):
        return dataset.assign(u=dataset["u"] * 2)


# ---- grid ----


@mutant("grid")
class Interior(Toy):
    def grid(self, shape):
        return {"x": super().grid(shape)["x"] ** 2}


@mutant("grid-operator")
class Transposed(Toy):
    def grid_operator(self, shape):
        return super().grid_operator(shape).T

    def on_grid(self, m, shape):
        return super().grid_operator(shape) @ m


@mutant("coefficient")
class Squared(Toy):
    def on_grid(self, m, shape):
        return super().on_grid(m, shape) ** 2


@mutant("score-grid")
class Listed(Toy):
    def on_grid(self, m, shape):
        if shape != (4,):
            raise ConfigError("there are four numbers")
        return super().grid_operator(shape) @ m


@mutant("coefficient-solved")
class Doubled(Toy):
    def solve(self, m, level=1, comm=None):
        found = super().solve(m, level)
        return found.assign(k=found["k"].copy(data=2 * found["k"].values))


# ---- hooks ----


@mutant("mask")
class Counting(Toy):
    def mask(self, points):
        return super().mask(points).astype(int)


@mutant("phantom")
class Willing(Toy):
    def phantom(self, name, rng):
        return np.ones(KNOTS)


@mutant("importers")
class Speechless(Toy):
    importers = {"csv": Importer("", Config, lambda *_: xr.Dataset())}


@mutant("metrics")
class Pointwise(Toy):
    metrics = {"gap": Metric("difference", lambda a, b: a - b)}


@mutant("fixtures")
class Halved(Toy):
    def fixtures(self):
        return super().fixtures().drop_vars("clamp_y")


@mutant("extensions")
class Skipping(Toy):
    def extensions(self, sensors, shape):
        n, fields = len(sensors["x"]), np.ones((1, 1, shape[0]))
        return Extensions(fields, np.zeros(n, dtype=np.intp), np.arange(n) * 2)


@mutant("images")
class Rowwise(Toy):
    def images(self, level):
        grid = VoxelGrid.plain((3, 2, 1), (1.0, 1.0, 1.0))
        return Images("u", grid, lambda m: m, lambda _: np.zeros(6), lambda *_: {})


@mutant("portrait")
class Turned(Toy):
    def portrait(self, level):
        axes = {"x": np.arange(3.0), "y": np.arange(2.0)}
        still = lambda m: m  # noqa: E731
        spread = lambda _: np.zeros((3, 2))  # noqa: E731
        return Portrait("heat", "m", axes, np.zeros((2, 3)), still, still, spread, lambda _: {})


@mutant("derived")
class Borrowed(Toy):
    def derived(self, level=0):
        return replace(super().derived(level), space=self.prior().space)


@mutant("memory")
class Shrinking(Toy):
    def memory_estimate(self, level=0):
        return 1000 - level


@mutant("remarks")
class Single(Toy):
    def remarks(self, observations):
        return "all is well"


class Steep(Bernoulli):
    def slope(self, prediction, data):
        misfit, slope = super().slope(prediction, data)
        return misfit, 2 * slope


@mutant("likelihood")
class Binary(Toy):
    def likelihood(self, sensors):
        return Steep(len(sensors["x"]))


@mutant("aligned")
class Mirrored(Toy):
    def aligned(self, measured, other, sensors):
        every = np.arange(len(sensors["x"]))
        return Aligned(every, measured.values[::-1], measured.likelihood, lambda xi: -xi)


@mutant("strong-form")
class Misplaced(Toy):
    def strong_form(self):
        return replace(super().strong_form(), sensing=lambda s: (np.asarray(s["x"]), None))


def test_the_toy_keeps_every_clause():
    report = check_problem(Toy)
    report.raise_for_failures()
    assert {f.clause for f in report.findings} == set(CLAUSES.clauses)


def test_every_clause_has_its_mutant():
    assert set(MUTANTS) == set(CLAUSES.clauses)


@pytest.mark.slow
@pytest.mark.parametrize("clause", MUTANTS)
def test_the_planted_violation_is_found(clause):
    report = check_problem(MUTANTS[clause], MUTANTS.options(clause))
    MUTANTS.assert_found(clause, report, most=8)


@pytest.mark.parametrize(("start", "fails"), [(0.5, False), (2.0, True)])
def test_numbers_of_a_strong_form_start_between_their_bounds(start, fails):
    class Eigen(Toy):
        def strong_form(self):
            speed = Number("s", start, 0.0, 1.0, "m s-1")
            return replace(super().strong_form(), numbers=(speed,))

    found = {f.clause: f.sentence for f in check_problem(Eigen).failures}
    assert (found == {}) is not fails
    assert not fails or "'s' starts at 2, not in 0 to 1" in found["strong-form"]


@pytest.mark.parametrize(("beyond", "fails"), [(0.0, False), (0.5, True)])
def test_the_focus_of_a_strong_form_lies_in_its_box(beyond, fails):
    class Focused(Toy):
        def strong_form(self):
            found = super().strong_form()
            part = tuple((low, high + beyond) for low, high in found.box)
            return replace(found, focus=lambda _: part)

    found = {f.clause: f.sentence for f in check_problem(Focused).failures}
    assert (found == {}) is not fails
    assert not fails or "expected a part of the box" in found["strong-form"]


def test_without_derivatives_the_clauses_on_them_hold():
    class Plain(ToyModel):
        capabilities = frozenset()

        def linearize(self, m):
            from pdeinv.errors import CapabilityError

            raise CapabilityError("no derivative")

    check_problem(type("Plain", (Toy,), {"Model": Plain})).raise_for_failures()


def test_an_adjoint_alone_is_tried_alone():
    class Backward(ToyModel):
        capabilities = frozenset({Capability.VJP})

        def linearize(self, m):
            from pdeinv.errors import CapabilityError

            def jvp(d):
                raise CapabilityError("no tangent")

            return replace(super().linearize(m), jvp=jvp)

    check_problem(type("Backward", (Toy,), {"Model": Backward})).raise_for_failures()
