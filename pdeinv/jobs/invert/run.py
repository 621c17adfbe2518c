"""``pdeinv invert`` as a function: from a checked inversion to a result file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from pdeinv.bayes.check import derivatives_at_a_draw
from pdeinv.bayes.fields.basis import BASIS
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Need, check_posterior, check_takes
from pdeinv.engines.progress import Progress, silent
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.folder import claimed, decided_by
from pdeinv.engines.run.spec import Budget, Run
from pdeinv.executors import kept_workers
from pdeinv.io import netcdf
from pdeinv.io.atomic import SCRATCH, check_output, write_text
from pdeinv.io.lock import owned
from pdeinv.io.marks import noted
from pdeinv.io.runs import check_run_outputs, drop_unless_resumable, remember, run_folder
from pdeinv.jobs.foreseen import foreseen
from pdeinv.jobs.invert.pace import with_pace
from pdeinv.jobs.invert.request import Inversion, RunConfig
from pdeinv.jobs.invert.result import conclude
from pdeinv.jobs.two_level.admission import SurrogateReport, admit, inflated_noise
from pdeinv.jobs.two_level.rounds import Rounds
from pdeinv.jobs.two_level.train import train_in_rounds
from pdeinv.jobs.two_level.trial import keep_tests
from pdeinv.jobs.two_level.watch import Watch
from pdeinv.jobs.untrained import warn_untrained
from pdeinv.model.forward import DERIVATIVES
from pdeinv.plugins.hooks import judge_derivative
from pdeinv.plugins.own_declared import check_travels
from pdeinv.plugins.recipe import Prepared
from pdeinv.rng import stream

__all__ = ["Inversion", "RunConfig", "check_outputs", "invert"]


def invert(
    inversion: Inversion,
    out: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = silent,
) -> xr.DataTree:
    """Run an inversion and write its result.

    Args:
        inversion: from :meth:`Inversion.resolve`.
        out: the result file; checkpoints go to ``<out>.run``, the configuration to ``<out>.toml``.
        overwrite: replace an existing result and its checkpoints, if pdeinv wrote them.
        resume: continue from the checkpoints.
        progress: told how far each chain is.

    Returns:
        The tree that was written; its root attributes carry the summary.

    Raises:
        PdeinvError: as each stage says; the output is complete or absent.
    """
    inversion.require()
    with owned(out):
        check_outputs(inversion, out, overwrite=overwrite, resume=resume)
        tree = _inverted(inversion, run_folder(out), resume, progress)
        netcdf.write(out, tree)
        write_text(configuration_of(out), noted(str(tree.attrs["pdeinv_config"])))
    return tree


def _inverted(inversion: Inversion, folder: Path, resume: bool, progress: Progress) -> xr.DataTree:
    """The result, by what is kept in ``folder`` meanwhile."""
    problem = inversion.problem
    check_travels(problem.name, problem.config.model_dump(mode="json"), inversion.run.workers)
    inversion.check_surrogate()
    made = Prepared.of(inversion.recipe())
    verified = _verify(inversion, made.posterior)
    spec = _spec(inversion, folder, resume)
    decides = decided_by(inversion.engine, spec)
    remember(folder, inversion.resolved(), decides=decides, resume=resume)
    warn_untrained(made.posterior.estimate)
    try:
        before = foreseen(made.posterior, inversion.seed, folder, resume=resume)
        with kept_workers(inversion.run.workers):
            report = SurrogateReport()
            if inversion.learns:
                watch = Watch.of(folder, spec.budget)
                made, report = _with_surrogate(inversion, made, spec, watch, progress)
                if inversion.trains_surrogate:  # which has spent from the budget
                    spec = replace(spec, budget=watch.for_chains())
            if Need.COARSE in inversion.engine.needs:
                inversion, report = with_pace(inversion, made(), report, folder)
            result = run(inversion.engine, made, spec, progress)
    except BaseException:
        drop_unless_resumable(folder)
        raise
    return conclude(inversion, made(), result, report, verified, before)


def configuration_of(out: Path) -> Path:
    """Where the configuration of a result stands, with what was measured for it."""
    return out.parent / f"{out.name}.toml"


def check_outputs(
    inversion: Inversion, out: Path, *, overwrite: bool, resume: bool, config: Path | None = None
) -> None:
    """Refuse what is there already, is read, or is not ours: result, run folder, configuration.

    Raises:
        OutputExists: names the first.
    """
    inputs = [*inversion.inputs, *([] if config is None else [config])]
    check_run_outputs(out, overwrite=overwrite, resume=resume, inputs=inputs)
    # it goes with the result, which may be gone; so it is replaced without being asked
    check_output(configuration_of(out), overwrite=True, room=SCRATCH)


def _spec(inversion: Inversion, folder: Path, resume: bool) -> Run:
    asked = inversion.run
    budget = Budget(asked.budget.n_forward, asked.budget.seconds)
    return Run(
        inversion.seed, folder, resume, asked.workers, alone_first=True, budget=budget,
        tag=_tag(inversion),
    )  # fmt: skip


def _tag(inversion: Inversion) -> dict[str, Any]:
    """What a checkpoint must agree with besides engine and seed: configuration and all inputs."""
    resolved = inversion.resolved()
    for free in ("engine", "workers", "seed", "budget", "observations"):
        resolved.pop(free, None)
    files = {f"sha256 of {name}": digest for name, digest in inversion.hashes().items()}
    return {**resolved, **files, "basis": BASIS}


def _verify(inversion: Inversion, posterior: Posterior) -> dict[str, float]:
    """Dot-product and Taylor tests of the very model that is inverted, where it has derivatives.

    Raises:
        CapabilityError: the posterior lacks what the engine needs, or its derivative is wrong.
        RunFailed: solves or derivatives fail at all draws that were tried.
    """
    if inversion.trains_surrogate:  # the rest is there once it is trained
        check_takes(inversion.engine, posterior.likelihood)
    else:
        check_posterior(inversion.engine, posterior)
    if not posterior.model.capabilities >= DERIVATIVES:
        return {}
    found = derivatives_at_a_draw(posterior.model, stream(inversion.seed, "verify"))
    if inversion.run.model == "reference":
        judge_derivative(inversion.problem, found.error, found.slope)
    return {"pdeinv_dot_product_error": found.error, "pdeinv_taylor_slope": found.slope}


def _with_surrogate(
    inversion: Inversion, made: Prepared, spec: Run, watch: Watch, progress: Progress
) -> tuple[Prepared, SurrogateReport]:
    """The posterior with the surrogate that it is to use, which is trained or tested meanwhile."""
    try:
        made, report = _learned(inversion, made, spec, watch, progress)
    finally:
        watch.clock.stop()
    spent = watch.clock.spent
    return made, replace(report, seconds=spent.wall, cpu_seconds=spent.cpu)


def _learned(
    inversion: Inversion, made: Prepared, spec: Run, watch: Watch, progress: Progress
) -> tuple[Prepared, SurrogateReport]:
    asked, given = inversion.run, inversion.surrogate_path
    if inversion.trains_surrogate:
        report = _trained(inversion, spec, watch, progress)
        assert report.folder is not None
        return made.beside(report.folder, report.seen), report
    if given is not None and Need.COARSE in inversion.engine.needs:
        report = admit(made(), given, inversion.seed)
        keep_tests(spec.folder, [report.entry])
        return made, report
    if asked.model == "surrogate" and asked.surrogate.get("inflate"):
        wide = inflated_noise(made(), given, inversion.seed)
        return made.with_likelihood(wide.noise), wide.report
    return made, SurrogateReport(given)


def _trained(inversion: Inversion, spec: Run, watch: Watch, progress: Progress) -> SurrogateReport:
    """A surrogate from rounds, in the run folder, which is this run's alone from here on."""
    asked = inversion.run
    rounds = Rounds(
        inversion.problem, inversion.observations, inversion.rounds_config(),
        inversion.seed, asked.workers, asked.level,
    )  # fmt: skip
    with claimed(inversion.engine, spec, "training.json"):
        return train_in_rounds(rounds, spec.folder, progress, watch, spec.tag)
