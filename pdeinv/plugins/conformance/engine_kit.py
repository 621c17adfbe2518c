"""The table of engines with all its clauses, and the function that tries them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from pdeinv.bayes.posterior import Posterior
from pdeinv.config import Config
from pdeinv.engines.base import Need
from pdeinv.engines.requests import drive
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.plugins import registry
from pdeinv.rng import stream

from . import engine_failures as failures
from . import engine_outcomes as outcomes
from . import engine_says as says
from . import engine_steps as steps
from . import engine_together as together
from .clauses import Report, Table
from .configs import options_from, shortened
from .engine_case import PROTOCOL, Case, linear, told

__all__ = ["CLAUSES", "LONG", "SHORT", "check_engine"]

CLAUSES = Table.joined(PROTOCOL, (m.CLAUSES for m in (says, steps, together, outcomes, failures)))
"""All of them, in the order in which they are tried."""

SHORT = {
    **{"chains": 2, "ensembles": 2, "ensemble_size": 20, "n": 4},
    **{"draws": 4, "warmup": 2, "thin": 2, "tuning": 20, "subchain": 2},
    **{"adam_steps": 8, "newton_steps": 12, "block": 4, "newton_block": 3, "settle": 0},
    **{"levels": 12, "flow": 2, "particles": 4},
    **{"width": 4, "depth": 1, "points": 8, "grid": 16, "parts": 2},
}
"""Whatever of these an engine's options know makes its runs short."""

LONG = {
    **{"chains": 1, "ensembles": 1, "draws": 200, "warmup": 100, "thin": 1},
    **{"tuning": 60, "subchain": 2, "beta": 0.5},
}
"""The same for runs that are held against an exact posterior."""


def check_engine(
    engine: str | type[Any],
    options: Config | Mapping[str, Any] | None = None,
    *,
    posterior: Callable[[], Posterior] | None = None,
    long: Config | Mapping[str, Any] | None = None,
    without: Collection[str] = (),
) -> Report:
    """Try every clause of :class:`pdeinv.engines.base.Engine`.

    Args:
        engine: a registered name, or a class.
        options: of runs of a few steps; what is not given gets a small value where its name is
            known (:data:`SHORT`), else its default.
        posterior: makes one that the engine works on; a linear-Gaussian one with three unknowns
            and a coarse twin where not given, with an estimate where one is needed.
        long: options of the runs that are held against the exact posterior, likewise.
        without: clauses that are not tried.

    Raises:
        UnknownPlugin: no such name.
        ConfigError: a wrong key or value, or the engine refuses the posterior.
    """
    kind = registry.load("engines", engine) if isinstance(engine, str) else engine
    case = Case(
        kind,
        options_from(kind, shortened(kind, options, SHORT)),
        posterior or (told if Need.ESTIMATE in kind.needs else linear),
        engine if isinstance(engine, str) else None,
        options_from(kind, shortened(kind, long, LONG)),
    )
    _accepted(case)
    return CLAUSES.report(f"engine '{getattr(kind, 'name', kind.__name__)}'", case, without)


def _accepted(case: Case) -> None:
    """Refuse a posterior that the engine cannot work on."""
    try:
        drive(case.on, case.engine().init(case.on, stream(0, "chain")))
    except CapabilityError as error:
        raise ConfigError(
            f"engine '{case.kind.name}' does not take the posterior it should be tried on "
            f"({error}); name a problem that it works on, with --set problem.name=..."
        ) from None
    except Exception:
        return  # a clause will tell
