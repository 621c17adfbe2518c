"""What a problem may offer besides the protocol, and what holds without it.

A problem offers a hook by having a method or attribute of that name and shape; there is nothing to
register. Each hook stands here twice: as the protocol ``Has...`` that says what to write, and as
the function by which everybody asks for it, which knows the answer for problems without it.

A hook is here because a part of pdeinv that knows no problem has to ask for it: what reads,
writes, plots, plans or scores. None is specific to one kind of physics: any body may have a shape
(``mask``) and fixtures, any coefficient may depend on m nonlinearly (``on_grid``), any field of
work has formats, scores and phantoms of its own, and any problem may find its data odd
(``remarks``) or its solves large (``memory_estimate``). Files that other programs wrote take two
hooks, each the way back of the other: ``annotated`` writes what ``tables_of`` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.bayes.likelihood import Likelihood
from pdeinv.io.observations import Observations, OwnLikelihood
from pdeinv.model.derived import Derived
from pdeinv.model.extensions import Extensions
from pdeinv.model.observed import Sensors
from pdeinv.model.strong_form import StrongForm, StrongFormOf
from pdeinv.plugins.aligned import Aligned, Measured
from pdeinv.plugins.portrait import Portrait
from pdeinv.plugins.problem import Images, Importer, Metric, Problem
from pdeinv.typing import Array

__all__ = [
    "HasAligned",
    "HasAnnotated",
    "HasDerived",
    "HasExtensions",
    "HasFixtures",
    "HasGridShape",
    "HasImages",
    "HasImporters",
    "HasJudgeDerivative",
    "HasLikelihood",
    "HasMask",
    "HasMemoryEstimate",
    "HasMetrics",
    "HasOnGrid",
    "HasPhantom",
    "HasPortrait",
    "HasPrepare",
    "HasRemarks",
    "HasStrongForm",
    "HasTablesOf",
    "aligned",
    "annotated",
    "derived",
    "extensions",
    "fixtures",
    "grid_shape",
    "images",
    "importers",
    "judge_derivative",
    "likelihood",
    "mask",
    "memory_estimate",
    "metrics",
    "on_grid",
    "phantom",
    "portrait",
    "prepare",
    "remarks",
    "strong_form",
    "tables_of",
]


# --- the domain ------------------------------------------------------------------------------


@runtime_checkable
class HasMask(Protocol):
    """A domain that is not the box which :meth:`pdeinv.plugins.problem.Problem.grid` covers."""

    def mask(self, points: Array) -> NDArray[np.bool_]:
        """Which of the points (n, d) with columns x, y, z lie in the domain, shape (n,)."""


def mask(problem: Problem, points: Array) -> NDArray[np.bool_]:
    """Which of the points (n, d) lie in the domain; without the hook all do."""
    if isinstance(problem, HasMask):
        return problem.mask(points)
    return np.ones(len(points), dtype=bool)


@runtime_checkable
class HasOnGrid(Protocol):
    """A coefficient that is no linear function of m, so that ``grid_operator`` is not enough."""

    def on_grid(self, m: Array, shape: tuple[int, ...]) -> Array:
        """The coefficient at the row-major nodes of ``grid(shape)``, flat or of that shape."""


def on_grid(problem: Problem, m: Array, shape: tuple[int, ...]) -> Array:
    """The coefficient on the problem's grid, of ``shape``; without the hook ``grid_operator``'s."""
    if isinstance(problem, HasOnGrid):
        flat = problem.on_grid(m, shape)
    else:
        flat = problem.grid_operator(shape) @ m
    return np.asarray(flat, dtype=np.float64).reshape(shape)


@runtime_checkable
class HasGridShape(Protocol):
    """A coefficient that only one grid can hold, such as a list of numbers."""

    def grid_shape(self, nodes: int) -> tuple[int, ...]:
        """The shape to compare on, where ``nodes`` along each axis were asked for."""


def grid_shape(problem: Problem, nodes: int) -> tuple[int, ...] | None:
    """The shape to compare on; without the hook None, and any shape will do."""
    return problem.grid_shape(nodes) if isinstance(problem, HasGridShape) else None


@runtime_checkable
class HasExtensions(Protocol):
    """Data that solutions of the equation extend into the domain, where networks can see them."""

    def extensions(self, sensors: Sensors, shape: tuple[int, ...]) -> Extensions:
        """The fields at the row-major nodes of ``grid(shape)``, and which datum has which.

        They know nothing of the unknown: one set of them serves all data at these sensors.

        Raises:
            ConfigError: this configuration has none.
        """


def extensions(problem: Problem, sensors: Sensors, shape: tuple[int, ...]) -> Extensions | None:
    """Fields that data are extended by; without the hook None."""
    return problem.extensions(sensors, shape) if isinstance(problem, HasExtensions) else None


# --- what a user may leave out ---------------------------------------------------------------


@runtime_checkable
class HasPhantom(Protocol):
    """A problem with made-up unknowns of its own, which ``solve --m phantom:NAME`` takes."""

    def phantom(self, name: str, rng: np.random.Generator) -> Array:
        """The unknown m of that name, shape (n_m,).

        Raises:
            ConfigError: no such phantom, or an unknown that cannot hold one.
        """


def phantom(problem: Problem) -> Callable[[str, np.random.Generator], Array] | None:
    """The problem's phantoms, m by name and random generator; without the hook None."""
    return problem.phantom if isinstance(problem, HasPhantom) else None


# --- observation files -----------------------------------------------------------------------


@runtime_checkable
class HasAnnotated(Protocol):
    """Observation files that need more than sensors and values to be read without pdeinv."""

    def annotated(self, dataset: xr.Dataset) -> xr.Dataset:
        """The observation file with it, for example the electrodes and currents behind the data."""


def annotated(problem: Problem, dataset: xr.Dataset) -> xr.Dataset:
    """An observation file as the problem wants it written; without the hook as it is."""
    return problem.annotated(dataset) if isinstance(problem, HasAnnotated) else dataset


@runtime_checkable
class HasTablesOf(Protocol):
    """A problem that understands files which pdeinv did not write, by their variables."""

    @classmethod
    def tables_of(cls, dataset: xr.Dataset) -> Mapping[str, Any]:
        """The configuration that the variables of an observation file amount to."""


def tables_of(kind: Any, dataset: xr.Dataset) -> Mapping[str, Any]:
    """The configuration in a file's variables, for the class of a problem; without the hook {}."""
    return kind.tables_of(dataset) if isinstance(kind, HasTablesOf) else {}


@runtime_checkable
class HasLikelihood(Protocol):
    """A problem whose data may follow another law than additive noise, which it knows itself."""

    def likelihood(self, sensors: Sensors) -> Likelihood | None:
        """That of data at the sensors; None where they have additive noise."""


def likelihood(problem: Problem) -> OwnLikelihood:
    """The problem's own likelihood of data; without the hook none."""
    return problem.likelihood if isinstance(problem, HasLikelihood) else lambda _: None


@runtime_checkable
class HasRemarks(Protocol):
    """A problem that can tell suspicious data from good ones before anything is solved."""

    def remarks(self, observations: Observations) -> tuple[str, ...]:
        """What the data say against the configuration, one line each."""


def remarks(problem: Problem, observations: Observations) -> tuple[str, ...]:
    """What the problem has to say about data; without the hook nothing."""
    return problem.remarks(observations) if isinstance(problem, HasRemarks) else ()


@runtime_checkable
class HasImporters(Protocol):
    """A problem that reads formats of instruments and other programs (``pdeinv import``)."""

    importers: ClassVar[Mapping[str, Importer]]
    """The formats by name."""


def importers(kind: Any) -> dict[str, Importer]:
    """The formats that the class of a problem reads; without the hook none."""
    return dict(kind.importers) if isinstance(kind, HasImporters) else {}


@runtime_checkable
class HasAligned(Protocol):
    """Bodies that differ from subject to subject, and are alike once mapped onto each other.

    The engine ``database`` asks for it, to search in simulations of a reference body, and a learned
    inverse of such a body, to be shown data of another one.
    """

    def aligned(self, measured: Measured, other: Problem, sensors: Sensors) -> Aligned | None:
        """Data of this problem as they would be in another body; None to compare them as they are.

        Args:
            measured: the data.
            other: a problem of the same name, that was simulated.
            sensors: where.

        Raises:
            DataSchemaError: they cannot be compared, in one line.
        """


def aligned(
    problem: Problem, measured: Measured, other: Callable[[], Problem], sensors: Sensors
) -> Aligned | None:
    """Data as they would be in another body; without the hook they are compared as they are.

    ``other`` builds the problem that was simulated, where it is needed.
    """
    return problem.aligned(measured, other(), sensors) if isinstance(problem, HasAligned) else None


# --- judging, planning and showing -------------------------------------------------------------


@runtime_checkable
class HasJudgeDerivative(Protocol):
    """A problem whose derivative others wrote, so that an inversion must not rely on it unseen."""

    def judge_derivative(self, dot_product_error: float, taylor_slope: float) -> None:
        """Refuse a derivative by the figures of its tests.

        Raises:
            CapabilityError: it is wrong.
        """


def judge_derivative(problem: Problem, dot_product_error: float, taylor_slope: float) -> None:
    """Refuse a wrong derivative; without the hook the figures are reported and nothing else."""
    if isinstance(problem, HasJudgeDerivative):
        problem.judge_derivative(dot_product_error, taylor_slope)


@runtime_checkable
class HasDerived(Protocol):
    """A problem with quantities of interest that are no part of its unknown, such as a speed."""

    def derived(self, level: int = 0) -> Derived:
        """Them on a mesh level; results hold their posterior.

        Their names are none of the unknown's, the data's or their coordinates'.
        """


def derived(problem: Problem, level: int) -> Derived | None:
    """The quantities of interest; without the hook None."""
    return problem.derived(level) if isinstance(problem, HasDerived) else None


@runtime_checkable
class HasMetrics(Protocol):
    """A problem with scores that only mean something there (``pdeinv score --metric``)."""

    metrics: ClassVar[Mapping[str, Metric]]
    """The scores by name."""


def metrics(problem: Problem) -> dict[str, Metric]:
    """The problem's own scores; without the hook none."""
    return dict(problem.metrics) if isinstance(problem, HasMetrics) else {}


@runtime_checkable
class HasMemoryEstimate(Protocol):
    """A problem whose model may fill the memory, which ``--dry-run`` should tell."""

    def memory_estimate(self, level: int = 0) -> int:
        """Bytes that one running model on that mesh level holds."""


def memory_estimate(problem: Problem, level: int) -> int | None:
    """Bytes of one running model; without the hook None."""
    return problem.memory_estimate(level) if isinstance(problem, HasMemoryEstimate) else None


@runtime_checkable
class HasPrepare(Protocol):
    """A problem that can build what ``solve`` needs without solving, for ``solve --dry-run``."""

    def prepare(self, level: int) -> None:
        """Build mesh, conditions and sources of ``level``.

        Raises:
            ConfigError: what ``solve`` would refuse, such as a mesh too coarse for the wavelength.
            DataSchemaError: a file that ``solve`` would refuse.
        """


def prepare(problem: Problem, level: int) -> None:
    """Refuse what ``solve`` would refuse before it solves; without the hook the model is built."""
    if isinstance(problem, HasPrepare):
        problem.prepare(level)
    else:
        problem.forward_model(problem.sensors(problem.default_sensors), level)


@runtime_checkable
class HasFixtures(Protocol):
    """A body with more to see than the unknown, such as electrodes."""

    def fixtures(self) -> xr.Dataset:
        """What results keep and figures show beside the sensors.

        Pairs ``electrode_x``, ``electrode_y`` and ``outline_x``, ``outline_y``, and the mesh of an
        unknown over ``vertex`` or ``element`` (:mod:`pdeinv.io.body`).
        """


def fixtures(problem: Problem) -> xr.Dataset:
    """What is fixed to the body; without the hook nothing."""
    return problem.fixtures() if isinstance(problem, HasFixtures) else xr.Dataset()


@runtime_checkable
class HasImages(Protocol):
    """A problem whose state can be shown on the voxels of an image (``export --nifti``)."""

    def images(self, level: int) -> Images:
        """States of a mesh level as images.

        Raises:
            ConfigError: no such level.
        """


def images(problem: Problem, level: int) -> Images | None:
    """States of a mesh level as images; without the hook None."""
    return problem.images(level) if isinstance(problem, HasImages) else None


@runtime_checkable
class HasPortrait(Protocol):
    """A problem whose state ``plot`` can show in its body, beside regions that were seen in it."""

    def portrait(self, level: int) -> Portrait | None:
        """The state as computed on a mesh level; None where it cannot be shown, as of a line.

        Raises:
            ConfigError: no such level.
        """


def portrait(problem: Problem, level: int) -> Portrait | None:
    """The state in the body; without the hook None."""
    return problem.portrait(level) if isinstance(problem, HasPortrait) else None


@runtime_checkable
class HasStrongForm(Protocol):
    """A problem that can also be solved without a mesh, by residuals at points.

    ``solve --solver pinn`` and the engine ``pinn`` ask for it; they refuse problems without it.
    """

    def strong_form(self) -> StrongForm:
        """Equations, prescribed values and sizes on a box.

        Raises:
            ConfigError: this configuration has none (another domain, or a coefficient that jumps).
        """


def strong_form(problem: Problem, sensors: Sensors) -> StrongFormOf | None:
    """Residuals at points with the sensors, made when asked for; without the hook None."""
    if not isinstance(problem, HasStrongForm):
        return None
    return lambda: (problem.strong_form(), sensors)
