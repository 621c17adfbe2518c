"""Derivatives of a model: right, lasting, and there where they are declared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdeinv.bayes.check import (
    MAX_DOT_PRODUCT_ERROR,
    MIN_TAYLOR_SLOPE,
    dot_product_test,
    taylor_test,
)
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.errors import CapabilityError
from pdeinv.model.forward import DERIVATIVES, Capability, ForwardModel
from pdeinv.typing import Array

from .clauses import Table, hold, refused
from .problem_case import PROTOCOL, Case, gap
from .problem_values import HUGE, MODEL, typed

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)

NOTHING = "the model declares no derivative"


def _declared(case: Case) -> frozenset[Capability]:
    return case.model().capabilities & DERIVATIVES


def _tested(case: Case) -> ForwardModel:
    """The model on xi where the prior has derivatives, so that both chains are right."""
    model = case.model()
    return WhitenedModel(case.prior, model) if case.prior.differentiable else model


@CLAUSES.clause(
    "declared", "JVP and VJP work where they are declared, and raise CapabilityError where not",
    needs=("data",), where=MODEL,
)  # fmt: skip
def declared(case: Case) -> None:
    model, m, found = case.model(), case.m(), _declared(case)
    if not found:
        refused(lambda: model.linearize(m), "linearize without JVP and VJP", CapabilityError)
        return
    at = model.linearize(m)
    calls: dict[Capability, tuple[Callable[[], Array], int]] = {
        Capability.JVP: (lambda: at.jvp(np.ones(model.m_space.size)), model.d_space.size),
        Capability.VJP: (lambda: at.vjp(np.ones(model.d_space.size)), model.m_space.size),
    }
    for capability, (call, size) in calls.items():
        if capability not in found:
            refused(call, f"{capability}, which is not declared,", CapabilityError)
        else:
            shape = np.shape(call())
            hold(shape == (size,), f"{capability} gives shape {shape}, not ({size},)")


@CLAUSES.clause(
    "linearized-value", "`linearize(m).value` is G(m)", needs=("declared",), where=MODEL
)
def linearized_value(case: Case) -> str | None:
    if not _declared(case):
        return NOTHING
    worst = gap(case.model().linearize(case.m()).value, case.model()(case.m()))
    hold(worst <= 1e-12, f"they differ by {worst:.2g} of the peak")
    return None


@CLAUSES.clause(
    "linearization-lasts", "a linearisation stays what it is, whatever is asked of the model later",
    needs=("declared",), where="pdeinv.model.forward.Linearization",
)  # fmt: skip
def linearization_lasts(case: Case) -> str | None:
    if not _declared(case):
        return NOTHING
    model, m = case.model(), case.m()
    at, v, w = model.linearize(m), case.rng(4).standard_normal(len(m)), case.rng(5)
    vjp_at = w.standard_normal(model.d_space.size)
    actions: list[tuple[str, Callable[[], Array]]] = []
    if Capability.JVP in model.capabilities:
        actions.append(("jvp", lambda: at.jvp(v)))
    if Capability.VJP in model.capabilities:
        actions.append(("vjp", lambda: at.vjp(vjp_at)))
    before = [np.array(call()) for _, call in actions]
    value = np.array(at.value)
    model(case.m(1))
    model.linearize(case.m(2))
    m[:] = case.m(1)
    hold(np.array_equal(at.value, value), "its value changes")
    for (name, call), first in zip(actions, before, strict=True):
        worst = gap(call(), first)
        hold(worst <= 1e-13, f"{name} differs by {worst:.2g} of its peak after other calls")
    return None


@CLAUSES.clause(
    "dot-product", f"⟨J v, w⟩ = ⟨v, Jᵀw⟩ to {MAX_DOT_PRODUCT_ERROR:g}", needs=("declared",),
    where="pdeinv.bayes.check",
)  # fmt: skip
def dot_product(case: Case) -> str | None:
    if len(_declared(case)) < 2:
        return "the model declares not both actions"
    error = dot_product_test(case.model(), case.m(), case.rng(6))
    hold(error <= MAX_DOT_PRODUCT_ERROR, f"the error is {error:.2g}")
    return None


@CLAUSES.clause(
    "taylor", f"the Taylor remainder falls with a slope of at least {MIN_TAYLOR_SLOPE}",
    needs=("declared",), where="pdeinv.bayes.check",
)  # fmt: skip
def taylor(case: Case) -> str | None:
    if Capability.JVP not in _declared(case):
        return "the model declares no JVP"
    on_xi = case.prior.differentiable
    slope = taylor_test(_tested(case), case.xi() if on_xi else case.m(), case.rng(7)).slope
    hold(slope >= MIN_TAYLOR_SLOPE, f"the slope is {slope:.3g}")
    return None


@CLAUSES.clause(
    "failed-tangent", "a tangent or an adjoint that fails raises SolverDiverged and no other error",
    needs=("declared",), where=MODEL,
)  # fmt: skip
def failed_tangent(case: Case) -> str | None:
    if not _declared(case):
        return NOTHING
    model, n = case.model(), case.prior.space.size
    for value in (*HUGE, np.nan):
        m = np.full(n, value)
        at = typed(lambda m=m: model.linearize(m), f"linearize at {value:g}")  # type: ignore[misc]
        if at is None:
            continue
        if Capability.JVP in model.capabilities:
            typed(lambda at=at: at.jvp(np.ones(n)), f"jvp at {value:g}")  # type: ignore[misc]
        if Capability.VJP in model.capabilities:
            ones = np.ones(model.d_space.size)
            typed(lambda at=at, w=ones: at.vjp(w), f"vjp at {value:g}")  # type: ignore[misc]
    return None
