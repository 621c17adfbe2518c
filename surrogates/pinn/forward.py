"""Solving a problem for one unknown by a network in place of a mesh."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pdeinv.config import parse
from pdeinv.errors import ConfigError, DataSchemaError, Preempted
from pdeinv.executors.devices import import_torch
from pdeinv.io.atomic import atomic
from pdeinv.io.decided import check_same, plain
from pdeinv.model.strong_form import StrongForm
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.hooks import HasStrongForm
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import make_problem
from pdeinv.provenance import sources_of
from pdeinv.rng import stream
from pdeinv.typing import Array

from ..common.storage import load_arrays, load_folder, save_arrays, save_folder
from ..training.checkpointing import CHECKPOINT
from .config import PinnConfig
from .network import Network
from .objective import Objective
from .training import PinnState, advance, first_state

__all__ = [
    "HISTORY",
    "NetworkSolution",
    "decided_by",
    "done",
    "relative_l2",
    "solve",
    "strong_form",
]

HISTORY = "history.jsonl"
KIND = "pinn-solution"
RECORDED = ("block", "iterations", "loss", "residual", "gained")


def strong_form(problem: Problem) -> StrongForm:
    """The strong form of a problem.

    Raises:
        ConfigError: it has none, at all or with this configuration.
    """
    if not isinstance(problem, HasStrongForm):
        raise ConfigError(
            f"problem '{problem.name}' has no strong form; use --solver fenicsx, or a problem that "
            "has one (darcy, flame, flame-species, heat, helmholtz, tumor)"
        )
    return problem.strong_form()


@dataclass(frozen=True)
class NetworkSolution:
    """u of one problem for one unknown, as a function of the coordinates.

    Attributes:
        problem: the problem.
        config: of the network and its training.
        m: the unknown.
        state: where the training ended.
        seed: root seed of the training.
    """

    problem: Problem
    config: PinnConfig
    m: Array
    state: PinnState
    seed: int

    @property
    def converged(self) -> bool:
        """Whether the residual fell below the tolerance, or as far as it would."""
        return done(self.state, self.config)

    def __call__(self, points: Array) -> Array:
        """The state at points (n, d) in the order of the form's axes, shape (n, outputs)."""
        form = strong_form(self.problem)
        objective = _objective(form, self.config, self.m, self.state.features)
        u = objective.evaluate(self.state.z, points)
        return u if form.state is None else form.state(self.m, points, u)

    @property
    def numbers(self) -> dict[str, float]:
        """What was solved for beside u, by name."""
        form = strong_form(self.problem)
        return _objective(form, self.config, self.m, self.state.features).numbers_at(self.state.z)

    def fields(self, level: int) -> xr.Dataset:
        """u at the nodes of a mesh level, in the layout of the reference solver."""
        form = strong_form(self.problem)
        beside = (self.numbers,) if form.numbers else ()
        return form.dataset(self.m, self(form.nodes(level)), level, *beside)

    def save(self, folder: Path) -> None:
        """Weights as safetensors, the rest as JSON, in ``folder`` (made)."""
        problem = {"name": self.problem.name, **self.problem.config.model_dump(mode="json")}
        arrays, numbers = _split(self.state)
        metadata = {
            "surrogate": KIND,
            "problem": problem,
            "config": self.config.model_dump(),
            "seed": self.seed,
            "state": numbers,
        }
        save_folder(folder, {**arrays, "m": self.m}, metadata)

    @classmethod
    def load(cls, folder: Path) -> NetworkSolution:
        """The solution that :meth:`save` wrote.

        Raises:
            DataSchemaError: the folder does not hold one.
        """
        arrays, metadata = load_folder(folder, KIND)
        try:
            table = dict(metadata["problem"])
            m, numbers = np.asarray(arrays.pop("m")), metadata["state"]
            state, seed = PinnState(**arrays, **numbers), int(metadata["seed"])
            problem = make_problem(table.pop("name"), table)
            return cls(problem, parse(PinnConfig, metadata["config"], "config"), m, state, seed)
        except (KeyError, TypeError, ValueError) as error:
            raise DataSchemaError(
                f"{folder} is incomplete ({type(error).__name__}: {error}); solve again"
            ) from None


def relative_l2(form: StrongForm, found: xr.Dataset, reference: xr.Dataset) -> float:
    """‖u − u_ref‖ / ‖u_ref‖ over all nodes (and times, waves) of two datasets of one level.

    Fields of other units count on their own; the worst of them is told.
    """
    gaps, sizes = dict[str, float](), dict[str, float]()
    for name in form.fields:
        units = reference[name].attrs.get("units", "")
        gap, size = (found[name] - reference[name]) ** 2, reference[name] ** 2
        gaps[units] = gaps.get(units, 0.0) + float(gap.sum())
        sizes[units] = sizes.get(units, 0.0) + float(size.sum())
    return max(float(np.sqrt(gaps[units] / sizes[units])) for units in gaps)


def done(state: PinnState, config: PinnConfig) -> bool:
    """Whether the residual is below the tolerance, or has stopped to fall."""
    return state.residual <= config.tolerance or state.waiting >= config.patience


def solve(
    problem: Problem, m: Array, config: PinnConfig, seed: int, run: FitRun | None = None
) -> NetworkSolution:
    """Train a network on the strong form for the unknown ``m``.

    Block k draws from stream ("pinn", k), so that a resumed training equals one without a stop.

    Args:
        problem: with a strong form.
        m: the unknown, shape (n_m,).
        config: network and training.
        seed: root seed.
        run: checkpoints (``training.safetensors`` and ``history.jsonl`` in its folder), progress
            and stopping.

    Raises:
        ConfigError: no strong form, or the checkpoint belongs to another training.
        Preempted: a stop was asked for; the state is saved.
        RunFailed: the loss is not finite; the last checkpoint is kept.
        SolverDiverged: the form says that what was learned is no solution; likewise.
    """
    import_torch()
    run = run or FitRun()
    form, m = strong_form(problem), problem.prior().space.check(m)
    store = _Store(run.folder, decided_by(problem, m, config, seed))
    state, history = store.load() if run.resume else (None, [])
    if state is None:
        net = Network.of(form, config, stream(seed, "pinn-features"), m)
        objective = _objective(form, config, m, net.features)
        state = first_state(objective, stream(seed, "pinn-weights"))
    else:
        objective = _objective(form, config, m, state.features)
    while state.block < config.blocks and not done(state, config):
        state = advance(objective, state, config, stream(seed, "pinn", state.block))
        history.append({name: getattr(state, name) for name in RECORDED})
        store.save(state, history)
        run.progress(state.block, config.blocks, state.loss, state.residual)
        if run.should_stop():
            raise Preempted(
                f"stopped after block {state.block} and saved in {run.folder}; continue with "
                "--resume"
            )
    found = NetworkSolution(problem, config, m, state, seed)
    if form.check is not None:
        form.check(found, found.numbers, state.residual)
    return found


def _objective(form: StrongForm, config: PinnConfig, m: Array, features: Array) -> Objective:
    net = Network.of(form, config, np.random.default_rng(0), m)
    return Objective(form, config, replace(net, features=features), m=m)


def decided_by(problem: Problem, m: Array, config: PinnConfig, seed: int) -> dict[str, Any]:
    """All that decides the training; it may go on for longer."""
    described = config.model_dump(exclude={"lbfgs_steps", "newton_steps", "tolerance", "patience"})
    files = {f"sha256 of {one.name}": one.sha256 for one in sources_of(problem.config)}
    return {
        "problem": {"name": problem.name, **problem.config.model_dump(mode="json")},
        "sha256 of the unknown": hashlib.sha256(m.tobytes()).hexdigest(),
        "solver": described,
        "seed": seed,
        **files,
    }


def _split(state: PinnState) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and numbers of a state."""
    values = {f.name: getattr(state, f.name) for f in fields(state)}
    arrays = {k: v for k, v in values.items() if isinstance(v, np.ndarray)}
    return arrays, {k: v for k, v in values.items() if k not in arrays}


@dataclass(frozen=True)
class _Store:
    """Checkpoint and history of one training; without a folder nothing is kept."""

    folder: Path | None
    decides: Mapping[str, Any]

    def save(self, state: PinnState, history: list[Mapping[str, Any]]) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays, numbers = _split(state)
        note = {"decides": plain(self.decides), "state": numbers, "history": history}
        save_arrays(self.folder / CHECKPOINT, arrays, note)
        with atomic(self.folder / HISTORY) as target:
            target.write_text("".join(json.dumps(h) + "\n" for h in history), encoding="utf-8")

    def load(self) -> tuple[PinnState | None, list[Mapping[str, Any]]]:
        if self.folder is None or not (self.folder / CHECKPOINT).exists():
            return None, []
        arrays, note = load_arrays(self.folder / CHECKPOINT)
        belongs = "belongs to another problem, unknown, seed or network"
        what = f"the checkpoint in {self.folder} {belongs}"
        check_same(note.get("decides", {}), self.decides, what)
        return PinnState(**arrays, **note["state"]), list(note["history"])
