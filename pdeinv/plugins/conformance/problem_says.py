"""What a problem says of itself: name, card, observed quantity, spaces, prior."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np

from pdeinv.bayes.check import (
    MAX_DOT_PRODUCT_ERROR,
    MIN_TAYLOR_SLOPE,
    dot_product_test,
    taylor_test,
)
from pdeinv.errors import ConfigError
from pdeinv.model.forward import DERIVATIVES, Linearization, ModelKind
from pdeinv.model.spaces import Space
from pdeinv.plugins.problem import Card
from pdeinv.typing import Array

from .clauses import Table, hold, refused
from .configs import add_config_clauses, add_name_clause
from .problem_case import MOST_AXES, PROTOCOL, Case, gap

__all__ = ["CLAUSES", "labels"]

CLAUSES: Table[Case] = Table(PROTOCOL)
add_name_clause(CLAUSES)

PRIOR = "pdeinv.bayes.prior.Prior"
SPACE = "pdeinv.model.spaces.Variable"


@CLAUSES.clause(
    "card", "`card` is a Card without an empty field", where="pdeinv.plugins.problem.Card"
)
def card(case: Case) -> None:
    found = case.kind.card
    hold(is_dataclass(found) and isinstance(found, Card), f"`card` is {type(found).__name__}")
    empty = [f.name for f in fields(found) if not str(getattr(found, f.name)).strip()]
    hold(not empty, f"nothing in {', '.join(empty)}")


add_config_clauses(CLAUSES)


@CLAUSES.clause("built", "`Problem(config)` builds it, and `config` gives that configuration back")
def built(case: Case) -> None:
    hold(case.problem.config == case.config, "`config` is another one")


@CLAUSES.clause(
    "observed", "`observed` names the measured quantity with units, words and coordinates",
    needs=("built",), where="pdeinv.model.observed.Observed",
)  # fmt: skip
def observed(case: Case) -> None:
    o = case.problem.observed
    for what, text in {"name": o.name, "units": o.units, "long_name": o.long_name}.items():
        hold(text.strip(), f"{what} is empty")
    hold(o.coords, "it has no coordinates")
    bare = [c for c, units in o.coords.items() if not units]
    hold(not bare, f"no units for {', '.join(bare)}")
    lost = [d for d in o.dims if d not in o.coords]
    hold(not lost, f"{', '.join(lost)} is in dims and not in coords")


@CLAUSES.clause(
    "prior-draws", "the prior maps xi of shape (..., dim) to finite m of shape (..., n_m)",
    needs=("built",), where=PRIOR,
)  # fmt: skip
def prior_draws(case: Case) -> None:
    prior = case.prior
    xi = case.rng().standard_normal((2, 3, prior.dim))
    m = prior.unwhiten(xi)
    hold(m.shape == (2, 3, prior.space.size), f"shape {m.shape} for xi of shape {xi.shape}")
    hold(np.isfinite(m).all(), "a draw is not finite")
    one = prior.unwhiten(xi[1, 2])
    hold(gap(one, m[1, 2]) < 1e-12, "one xi alone gives another m than among others")
    hold(np.array_equal(prior.unwhiten(xi), m), "the same xi twice gives two different m")


class _Map:
    """The prior's map as a forward model, for the tests of derivatives."""

    kind: ModelKind = "reference"
    capabilities = DERIVATIVES

    def __init__(self, case: Case, m_space: Space) -> None:
        self.prior, self.m_space, self.d_space = case.prior, m_space, case.prior.space

    def __call__(self, xi: Array, /) -> Array:
        return self.prior.unwhiten(xi)

    def linearize(self, xi: Array, /) -> Linearization:
        return Linearization(
            self(xi),
            lambda d: self.prior.unwhiten_jvp(xi, d),
            lambda w: self.prior.unwhiten_vjp(xi, w),
        )


@CLAUSES.clause(
    "prior-derivative", "where `differentiable`, the derivative actions of the prior's map are "
    "right",
    needs=("prior-draws",), where=PRIOR,
)  # fmt: skip
def prior_derivative(case: Case) -> str | None:
    if not case.prior.differentiable:
        return "it is not differentiable"
    model = _Map(case, Space(()))
    error = dot_product_test(model, case.xi(), case.rng(1))
    hold(error <= MAX_DOT_PRODUCT_ERROR, f"jvp and vjp disagree: dot-product error {error:.2g}")
    slope = taylor_test(model, case.xi(), case.rng(2)).slope
    hold(slope >= MIN_TAYLOR_SLOPE, f"the order of the Taylor remainder is {slope:.3g}, not 2")
    return None


def labels(space: Space) -> list[str]:
    """What lacks units, or words, in a space."""
    found = [v.name for v in space.variables if not (v.name and v.units and v.long_name)]
    for v in space.variables:
        found += [c for c in v.coords if not v.coord_attrs.get(c, {}).get("units")]
    return found


@CLAUSES.clause(
    "unknown-labelled", "every variable of the unknown has name, units and long_name, coordinates "
    "units", needs=("built",), where=SPACE,
)  # fmt: skip
def unknown_labelled(case: Case) -> None:
    space = case.prior.space
    hold(space.variables, "it has no variable")
    hold(len(set(space.names)) == len(space.names), f"names occur twice: {space.names}")
    dumb = labels(space)
    hold(not dumb, f"missing for {', '.join(dumb)}")
    space.unpack(case.m())


@CLAUSES.clause(
    "axes", "`grid` takes as many numbers as the domain has axes, and refuses any other count with "
    "ConfigError; `axes` names them", needs=("built",),
)  # fmt: skip
def axes(case: Case) -> None:
    hold(len(case.dims) == 1, f"shapes of {list(case.dims) or 'no'} numbers are accepted")
    d, grid = case.dims[0], case.problem.grid
    for shape in ((3,) * (d % MOST_AXES + 1), (3,) * (MOST_AXES + 1), (1,) * d):
        refused(lambda shape=shape: grid(shape), f"grid({shape})", ConfigError)  # type: ignore[misc]
    named = case.problem.axes
    hold(len(named) == d, f"`axes` is {named}, the grid has {d} axes")
    lost = [a for a in named if a not in grid((3,) * d)]
    hold(not lost, f"the grid has no coordinate {', '.join(lost)}")
