"""How long the subchains of ``two-level`` are, by costs that are measured once and kept, and how
many are one short move.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from pdeinv.bayes.posterior import Posterior
from pdeinv.config import restored
from pdeinv.errors import DataSchemaError, reason
from pdeinv.foreign import Unreadable, read_json
from pdeinv.io.atomic import write_text
from pdeinv.jobs.invert.request import Inversion
from pdeinv.jobs.two_level.admission import SurrogateReport
from pdeinv.jobs.two_level.cost import Costs, Quality, advice, has_derivatives, measured, paced

__all__ = ["with_pace"]

COSTS = "costs.json"
"""In the run folder, so that a resumed run goes on at the same pace."""


def _kept(file: Path) -> Costs:
    try:
        return restored(Costs, read_json(file), "costs")
    except (OSError, Unreadable) as error:
        raise DataSchemaError(
            f"{file} is damaged ({reason(error)}); delete it, and the costs are measured again"
        ) from None


def with_pace(
    inversion: Inversion, posterior: Posterior, report: SurrogateReport, folder: Path
) -> tuple[Inversion, SurrogateReport]:
    """The inversion with its pace filled in where it is unset, and the report with its reasons.

    Args:
        inversion: whose engine walks a surrogate.
        posterior: with its coarse twin.
        report: of the surrogate, with draws of its posterior.
        folder: the run folder.
    """
    file = folder / COSTS
    if not file.exists():
        write_text(file, json.dumps(asdict(measured(posterior, report.points))))
    costs, config = _kept(file), inversion.engine.config
    figures = report.figures
    quality = Quality(figures["sd_misfit_difference_heldout"], figures.get("explorers_iact", 5.0))
    every = getattr(config, "corrections", 1)
    pace = paced(costs, quality, inversion.engine.n_chains * config.draws, every)
    more = {"surrogate_cost": costs.ratio, "surrogate_gain": pace.gain}
    told = advice(costs, pace.gain, has_derivatives(posterior))
    report = replace(report, figures={**figures, **more}, advice=told)
    found = {"subchain": pace.subchain, "near": pace.near}
    unset = {name: value for name, value in found.items() if getattr(config, name, 0) is None}
    if not unset:
        return inversion, report
    engine = type(inversion.engine)(config.model_copy(update=unset))
    return replace(inversion, engine=engine), report
