"""Data sets of solves, surrogates learned from them, and how good they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import xarray as xr

from pdeinv.api.given import (
    Data,
    File,
    Model,
    Subject,
    at_least,
    declare_model,
    files,
    one_of,
    paths,
    problem_table,
    seed_or_fresh,
    to_problem,
    written,
)
from pdeinv.callers import in_python
from pdeinv.errors import ConfigError
from pdeinv.io import netcdf
from pdeinv.io.atomic import atomic
from pdeinv.io.lock import owned
from pdeinv.io.observations import NoiseSpec
from pdeinv.io.runs import check_run_outputs, drop_unless_resumable, recalled_seed, run_folder
from pdeinv.jobs.evaluate import Request
from pdeinv.jobs.evaluated_by_role import figures_of
from pdeinv.jobs.generate.plan import Around, Plan, Sampling
from pdeinv.jobs.generate.run import generate as solve_all
from pdeinv.jobs.invert.run import Inversion
from pdeinv.jobs.train import Job, execute
from pdeinv.plugins.fitting import Precision
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.surrogate import Surrogate
from pdeinv.provenance import files_of, sources_of
from pdeinv.typing import Array

if TYPE_CHECKING:
    from pdeinv.model.observed import Sensors

__all__ = ["evaluate", "generate", "train_surrogate"]


@in_python
def generate(
    problem: Subject | None = None,
    *,
    n: int,
    obs: File | None = None,
    sensors: str | None = None,
    around: File | None = None,
    inflation: float = 1.5,
    design: Sampling = "prior",
    grid: tuple[int, ...] | None = None,
    jacobian: int = 0,
    level: int = 0,
    seed: int | None = None,
    workers: int = 1,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> xr.Dataset:
    """Solve at many drawn unknowns: ``pdeinv generate``.

    Args:
        problem: a built problem, an own model, or a name; or None with ``obs``.
        n: samples.
        obs: observations that give problem, sensors and noise.
        sensors: places as text; the problem's own where neither is given.
        around: a result of :func:`invert`, to draw around instead of from the prior.
        inflation: factor on that result's standard deviations.
        design: ``prior``, ``lhs`` or ``sobol``.
        grid: also store fields on a grid of this shape.
        jacobian: also store the derivative in so many directions.
        level: mesh level.
        seed: root seed; drawn and recorded where None.
        workers: processes.
        out: the data set file; batches stay in ``<out>.run``. Nothing is kept where None.
        overwrite: replace an existing file.
        resume: continue from the batches of ``out``; n may have grown.

    Returns:
        The data set (docs/surrogates.md), failed solves included.

    Raises:
        PdeinvError: an argument is wrong, or every solve failed.
    """
    at_least(1, n=n, workers=workers)
    at_least(0, jacobian=jacobian)
    one_of(get_args(Sampling), design=design)
    with files() as folder:
        physics, places, noise = _places(problem, obs, sensors, folder)
        fitted = None
        if around is not None:
            fitted = Around.from_result(
                written(around, folder, "result"), physics.prior(), inflation
            )
        target = folder / "data.nc" if out is None else Path(out)
        read = [*paths(obs, around), *files_of(physics.config)]
        check_run_outputs(target, overwrite=overwrite, resume=resume, inputs=read)
        if resume and seed is None:
            seed = recalled_seed(run_folder(target))
        plan = Plan(
            physics.name, physics.config.model_dump(mode="json"), places, n, seed_or_fresh(seed),
            grid=grid, level=level, design=fitted, jacobian=jacobian, sampling=design,
            noise_std=noise, inputs=tuple(sources_of(physics.config)),
        )  # fmt: skip
        solve_all(plan, target, run_folder(target), workers=workers, resume=resume)
        return netcdf.read_dataset(target)


def _places(
    problem: Subject | None, obs: File | None, sensors: str | None, folder: Path
) -> tuple[Problem, Sensors, Array | None]:
    if obs is not None:
        if sensors is not None:
            raise ConfigError("give the sensors once: obs= or sensors=, not both")
        path = written(obs, folder, "observations")
        inversion = Inversion.resolve({"problem": problem_table(problem, None)}, path)
        observations = inversion.observations
        return inversion.problem, observations.coords, observations.likelihood.std
    if problem is None:
        raise ConfigError("no problem given; pass a problem, an own model, or obs=")
    physics = to_problem(problem)
    spec = physics.default_sensors if sensors is None else sensors
    return physics, physics.sensors(spec), None


@in_python
def train_surrogate(
    name: str,
    data: File,
    *,
    model: Model | None = None,
    noise_std: float | None = None,
    device: str = "cpu",
    dtype: Precision = "float32",
    seed: int | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    **options: Any,
) -> Surrogate:
    """Fit a surrogate to a data set: ``pdeinv train-surrogate``.

    Args:
        name: registered name (``pdeinv list surrogates``).
        data: what :func:`generate` returned or wrote.
        model: the own model that the data belong to, in another process than they were made in.
        noise_std: standard deviation that errors are weighed by.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        dtype: precision.
        seed: root seed; drawn where None.
        out: also write the surrogate into this folder; checkpoints go to ``<out>.run``.
        overwrite: replace an existing folder.
        resume: continue from the checkpoint of ``out``.
        **options: of the surrogate, as in table ``[surrogate]``.

    Raises:
        PdeinvError: an argument is wrong, or the training failed.
    """
    one_of(get_args(Precision), dtype=dtype)
    declare_model(model)
    with files() as folder:
        target = folder / "surrogate" if out is None else Path(out)
        if resume and seed is None:
            seed = recalled_seed(run_folder(target))
        job = Job(
            name, options, written(data, folder, "data"), seed_or_fresh(seed), run_folder(target),
            device, dtype, noise_std, resume,
        )  # fmt: skip
        job.check()
        with owned(target):
            check_run_outputs(
                target, overwrite=overwrite, resume=resume, inputs=paths(data), kind="folder"
            )
            training = job.read()
            job.remember(training)
            try:
                found = execute(job, training=training)
            except BaseException:
                drop_unless_resumable(job.folder)
                raise
            if out is not None:
                with atomic(target) as scratch:
                    found.save(scratch)
    return found


@in_python
def evaluate(
    surrogate: str | Path | Surrogate,
    *,
    obs: Data | None = None,
    around: File | None = None,
    model: Model | None = None,
    data: str | Path | None = None,
    sensors: str | None = None,
    noise_rel: float | None = None,
    noise_std: float | None = None,
    noise_rms: float | None = None,
    n: int = 50,
    level: int | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Compare a surrogate with its reference at fresh draws: ``pdeinv evaluate``.

    An inverse and a denoiser are told as the command tells them.

    Args:
        surrogate: a trained one, or its folder.
        obs: observations that give sensors, noise and data; draws are those of the Laplace
            approximation of their posterior.
        around: a result of :func:`invert`, to evaluate at its draws, and at prior draws.
        data: a data set of :func:`generate` or files of fields, that a denoiser is tried on.
        model: the own model that it was trained for, in another process.
        sensors: places as text; else those of the training.
        noise_rel: noise relative to the largest |y|.
        noise_std: the same, absolute.
        noise_rms: the same, relative to the root mean square of y.
        n: draws of each kind.
        level: mesh level of the reference; else as trained.
        seed: root seed; drawn where None.

    Returns:
        The figures that the command prints, by region and name.

    Raises:
        PdeinvError: it does not belong to the problem, or every solve failed.
    """
    at_least(2, n=n)
    own = declare_model(model)
    with files() as folder:
        if isinstance(surrogate, str | Path):
            checkpoint = Path(surrogate)
        else:
            checkpoint = folder / "surrogate"
            surrogate.save(checkpoint)
        request = Request(
            checkpoint,
            {"problem": problem_table(None, model)},
            None if obs is None else written(obs, folder, "observations", own),
            None if around is None else written(around, folder, "result"),
            sensors,
            NoiseSpec(noise_std, noise_rel, noise_rms),
            n,
            seed_or_fresh(seed),
            level,
            None if data is None else Path(data),
        )
        return figures_of(request)
