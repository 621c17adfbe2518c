"""``pdeinv invert`` as a function: from a checked inversion to a result file."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from pdeinv.admission import Refined
from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.building import Prepared
from pdeinv.conclusion import conclude
from pdeinv.engines.base import check_posterior
from pdeinv.engines.driver import Budget, Progress, Run, run
from pdeinv.errors import PdeinvError
from pdeinv.io import netcdf
from pdeinv.io.atomic import check_output
from pdeinv.io.runs import discard, drop_unless_resumable, remember, run_folder
from pdeinv.models import Capability
from pdeinv.refine import refine
from pdeinv.resolved import Inversion
from pdeinv.rng import stream
from pdeinv.run_config import RunConfig
from pdeinv.trust import examined, widened

__all__ = ["Inversion", "RunConfig", "invert"]


def _silent(chain: int, step: int, n_steps: int, note: str) -> None:
    """No progress."""


def invert(
    inversion: Inversion,
    out: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress = _silent,
) -> xr.DataTree:
    """Run an inversion and write its result.

    Args:
        inversion: from :meth:`Inversion.resolve`.
        out: the result file; checkpoints go to ``<out>.run``.
        overwrite: replace an existing result and its checkpoints, if pdeinv wrote them.
        resume: continue from the checkpoints.
        progress: told how far each chain is.

    Returns:
        The tree that was written; its root attributes carry the summary.

    Raises:
        PdeinvError: as each stage says; the output is complete or absent.
    """
    check_output(out, overwrite=overwrite, resume=resume)
    folder = run_folder(out)
    check_output(folder, overwrite=overwrite, resume=resume)
    made = Prepared.of(inversion.recipe())
    verified = _verify(inversion, made.posterior)
    if overwrite:
        discard(folder)
    remember(folder, inversion.resolved())
    try:
        made, refined = _with_surrogate(inversion, made, folder, progress)
        result = run(inversion.engine, made, _how(inversion, folder, resume), progress)
    except PdeinvError:
        drop_unless_resumable(folder)
        raise
    tree = conclude(inversion, made(), result, refined, verified)
    netcdf.write(out, tree)
    return tree


def _how(inversion: Inversion, folder: Path, resume: bool) -> Run:
    asked = inversion.run
    budget = Budget(asked.budget.n_forward, asked.budget.seconds)
    return Run(inversion.seed, folder, resume, asked.workers, budget, tag=_tag(inversion))


def _tag(inversion: Inversion) -> str:
    """What a checkpoint must agree with besides engine and seed."""
    resolved = inversion.resolved()
    for free in ("engine", "workers", "seed", "budget", "observations"):
        resolved.pop(free, None)
    source = inversion.observations.source
    return f"{resolved}{source[1] if source else ''}"


def _verify(inversion: Inversion, posterior: Posterior) -> dict[str, float]:
    """Dot-product and Taylor tests of the very model that is inverted, where it has derivatives.

    Raises:
        CapabilityError: the posterior lacks what the engine needs.
    """
    if not inversion.trains_surrogate:
        check_posterior(inversion.engine, posterior)
    if not {Capability.JVP, Capability.VJP} <= posterior.model.capabilities:
        return {}
    rng = stream(inversion.seed, "verify")
    xi = 0.5 * rng.standard_normal(posterior.dim)
    return {
        "pdeinv_dot_product_error": dot_product_test(posterior.model, xi, rng),
        "pdeinv_taylor_slope": float(taylor_test(posterior.model, xi, rng).slope),
    }


def _with_surrogate(
    inversion: Inversion, made: Prepared, folder: Path, progress: Progress
) -> tuple[Prepared, Refined]:
    """The posterior with the surrogate that it is to use, which is trained or tested here."""
    asked, given = inversion.run, inversion.surrogate_path
    if inversion.trains_surrogate:
        how = (inversion.seed, asked.workers, asked.level)
        refined = refine(
            inversion.problem,
            inversion.observations,
            inversion.refine_config(),
            folder,
            how,
            progress,
        )
        assert refined.folder is not None
        return made.beside(refined.folder), refined
    if given is not None and Capability.COARSE in inversion.engine.requires:
        return made, examined(made(), given, inversion.seed)
    if asked.model == "surrogate" and asked.surrogate.get("inflate"):
        noise, report, spent = widened(made(), inversion.seed)
        return made.with_noise(noise), Refined(given, spent, report)
    return made, Refined(given, Counters(), {})
