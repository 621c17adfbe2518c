"""From observations to the unknown, and whether to believe the derivatives on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from pdeinv.api.given import (
    Data,
    File,
    Model,
    Subject,
    declare_model,
    files,
    problem_table,
    seed_or_fresh,
    to_problem,
    written,
)
from pdeinv.callers import in_python
from pdeinv.io.runs import recalled_seed, run_folder
from pdeinv.jobs.check import Verdict, check_observations, check_problem
from pdeinv.jobs.invert.run import Inversion
from pdeinv.jobs.invert.run import invert as run_inversion
from pdeinv.plugins.surrogate import Surrogate

__all__ = ["check", "invert"]


@in_python
def invert(
    observations: Data,
    *,
    engine: str = "map",
    model: Model | None = None,
    problem: Subject | None = None,
    seed: int | None = None,
    workers: int = 1,
    noise_rel: float | None = None,
    noise_std: float | None = None,
    noise_rms: float | None = None,
    surrogate: str | Path | Surrogate | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    tables: dict[str, Any] | None = None,
    **options: Any,
) -> xr.DataTree:
    """Invert observations: ``pdeinv invert``.

    Args:
        observations: a file or dataset of them; for an own model also (y, sigma).
        engine: registered name (``pdeinv list engines``).
        model: the own model that predicts the data.
        problem: for observations that name none, or with another configuration.
        seed: root seed; drawn and recorded where None.
        workers: processes.
        noise_rel: replaces the noise of the observations: relative to the largest |y|.
        noise_std: the same, absolute.
        noise_rms: the same, relative to the root mean square of y.
        surrogate: a trained one, or its folder.
        out: the result file; checkpoints go to ``<out>.run``. Nothing is kept where None.
        overwrite: replace an existing result.
        resume: continue from the checkpoints of ``out``.
        tables: further tables of a run file, such as ``{"surrogate": {...}, "level": 0}``.
        **options: of the engine, as in table ``[engine]``: draws, chains, ...

    Returns:
        The result: groups ``posterior``, ``estimates`` and others (docs/files.md); its attributes
        say what it cost and whether it converged.

    Raises:
        PdeinvError: something is wrong with the arguments, or the run failed.
    """
    own = declare_model(model)
    given: dict[str, Any] = dict(tables or {})
    table = {**given.get("problem", {}), **problem_table(problem, model)}
    said = {"rel": noise_rel, "std": noise_std, "rms": noise_rms}
    noise = {k: v for k, v in said.items() if v is not None}
    if resume and out is not None and seed is None:
        seed = recalled_seed(run_folder(Path(out)))
    with files() as folder:
        given |= {"seed": seed_or_fresh(seed), "workers": workers, "problem": table}
        given["engine"] = {**given.get("engine", {}), "name": engine, **options}
        given |= {"noise": noise} if noise else {}
        if surrogate is not None:
            path = str(_folder(surrogate, folder))
            given["surrogate"] = {**given.get("surrogate", {}), "path": path}
        source = written(observations, folder, "observations", own)
        inversion = Inversion.resolve(given, source)
        target = folder / "result.nc" if out is None else Path(out)
        return run_inversion(inversion, target, overwrite=overwrite, resume=resume)


def _folder(surrogate: str | Path | Surrogate, folder: Path) -> Path:
    if isinstance(surrogate, str | Path):
        return Path(surrogate)
    surrogate.save(folder / "surrogate")
    return folder / "surrogate"


@in_python
def check(
    subject: File | Subject,
    *,
    model: Model | None = None,
    sensors: str | None = None,
    level: int = 0,
    seed: int | None = None,
    surrogate: str | Path | Surrogate | None = None,
) -> list[Verdict]:
    """Test the derivatives of a problem, and audit observations: ``pdeinv check``.

    Args:
        subject: a problem or an own model; or an observation file or dataset.
        model: the own model that observations belong to.
        sensors: places, for a problem.
        level: mesh level.
        seed: draws the point and the directions.
        surrogate: for observations, a learned prior or inverse, or its folder: are they like what
            it knows?

    Returns:
        One line for each test; ``ok`` is None for figures that are neither good nor bad.
    """
    declare_model(model)
    root = seed_or_fresh(seed)
    if isinstance(subject, xr.Dataset | xr.DataTree | Path) or _names_file(subject):
        with files() as folder:
            path = written(subject, folder, "observations")  # type: ignore[arg-type]
            table = problem_table(None, model)
            found = Inversion.resolve({"seed": root, "problem": table}, path)
            trained = None if surrogate is None else _folder(surrogate, folder)
            given = (found.problem, found.observations, found.notes, level, root)
            return check_observations(*given, trained)
    return check_problem(to_problem(subject), sensors, level, root)


def _names_file(subject: object) -> bool:
    return isinstance(subject, str) and ":" not in subject and bool(Path(subject).suffix)
