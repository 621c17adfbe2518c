"""Answers to the requests of several chains at once, where the model takes rows.

A row's bits are its own (:class:`pdeinv.model.forward.OffersRows`), so that a chain sees the same
numbers whoever else asks at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pdeinv.bayes.counters import forgiving
from pdeinv.bayes.jacobian import dense_jacobians
from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.bayes.products import products_together
from pdeinv.engines.requests import (
    Curvature,
    Jacobian,
    Linearize,
    Misfit,
    Predict,
    Request,
    asked_of,
)
from pdeinv.errors import SolverDiverged
from pdeinv.model.forward import Capability, Rows
from pdeinv.typing import Array

__all__ = ["answer_rows", "groups", "shareable"]


def shareable(posterior: Posterior, request: Request) -> bool:
    """Whether the request may be answered with others: a row's bits are then its own (ROWS)."""
    model = posterior.model
    if request.level == "coarse":
        assert posterior.coarse is not None
        model = posterior.coarse.model
    if request.level == "unknown":
        model = getattr(model, "model", model)
    return Capability.ROWS in model.capabilities


def groups(requests: Sequence[Request]) -> list[list[int]]:
    """The places of requests that one call answers: those of one kind, level, part and stage."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for i, r in enumerate(requests):
        found.setdefault((type(r), r.level, getattr(r, "part", None), id(r.stage)), []).append(i)
    return list(found.values())


def answer_rows(
    posterior: Posterior, requests: Sequence[Request], charged: Sequence[Counters]
) -> list[Any]:
    """The answers to :func:`shareable` requests of one of the :func:`groups`, from one call.

    They are those of :func:`answer`, bit for bit. In the place of one whose linearization failed
    there is the :class:`SolverDiverged` to be raised for it.

    Args:
        posterior: who is asked.
        requests: of any number of chains.
        charged: who pays for each request.

    Raises:
        CapabilityError: the model has no derivative, or is no model of m.
    """
    asked = asked_of(posterior, requests[0].level, requests[0].stage)
    if isinstance(requests[0], Curvature):
        return _products(asked, requests, charged)
    lengths = [r.rows for r in requests]
    xis = np.concatenate([r.xi.reshape(-1, r.xi.shape[-1]) for r in requests])
    payers = [c for c, n in zip(charged, lengths, strict=True) for _ in range(n)]
    with forgiving([c for c, r in zip(charged, requests, strict=True) if r.trial]):
        return _answers(asked, requests, xis, lengths, payers)


def _products(
    asked: Posterior, requests: Sequence[Request], charged: Sequence[Counters]
) -> list[Any]:
    pairs = zip(requests, charged, strict=True)
    alongs = [r.along(c) for r, c in pairs if isinstance(r, Curvature)]
    return list(products_together(asked.model, asked.law, alongs))


def _answers(
    asked: Posterior,
    requests: Sequence[Request],
    xis: Array,
    lengths: Sequence[int],
    payers: Sequence[Counters],
) -> list[Any]:
    match requests[0]:
        case Misfit():
            return _cut(asked.misfit_of(asked.predict_rows(xis, payers).values), requests, lengths)
        case Predict():
            return _cut(asked.predict_rows(xis, payers).values, requests, lengths)
        case Linearize():
            return _each(asked.linearize_rows(xis, payers))
        case Jacobian(part=part):
            return _each(dense_jacobians(asked, xis, part, payers))
    raise TypeError(f"no answer to a {type(requests[0]).__name__}")


def _cut(values: Array, requests: Sequence[Request], lengths: Sequence[int]) -> list[Any]:
    """Each request's rows; those of one point without the axis of rows."""
    parts = np.split(values, np.cumsum(lengths)[:-1])
    pairs = zip(requests, parts, strict=True)
    return [part[0] if r.xi.ndim == 1 else part for r, part in pairs]


def _each(rows: Rows[list[Any]]) -> list[Any]:
    failed = rows.failures
    return [SolverDiverged(failed[i]) if i in failed else v for i, v in enumerate(rows.values)]
