"""What a surrogate predicts once it is bound: right to the stated error, and for nothing else."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from pdeinv.bayes.check import MIN_TAYLOR_SLOPE, dot_product_test, taylor_test
from pdeinv.bayes.prior import whiten
from pdeinv.errors import CapabilityError, SurrogateRejected
from pdeinv.model.forward import DERIVATIVES, Capability, ForwardModel
from pdeinv.model.learned import Denoiser, Role
from pdeinv.model.rows import by_rows
from pdeinv.plugins.law import law_of
from pdeinv.typing import Array

from .clauses import Table, hold, one_line, refused
from .surrogate_case import PROTOCOL, Case
from .surrogate_lessons import neighbour

__all__ = ["CLAUSES"]

CLAUSES: Table[Case] = Table(PROTOCOL)

BIND = "pdeinv.plugins.surrogate.Surrogate.bind"
ANOTHER = "it is no forward model"
FRESH = 40
RECORDED = "relative_l2"
LEAST_HELD = 0.7
"""Of truths within two standard deviations, of which a Gaussian holds 95 %."""
HONEST = 4.0
UNKNOWN = "unknown"
"""The table of a problem that says what is looked for."""
MAX_DOT_PRODUCT_ERROR = 1e-8
"""Looser than for a solver: networks compute in single precision."""


@CLAUSES.clause(
    "bound", "`bind` gives what the role says, with spaces and shapes of xi and data",
    needs=("fit",), where=BIND,
)  # fmt: skip
def bound(case: Case) -> None:
    found, n, dim, size = case.bound(), 3, case.prior.dim, case.dataset.values.shape[1]
    if case.forward:
        hold(isinstance(found, ForwardModel), "a member of ForwardModel is missing")
        hold(found.kind == "surrogate", f"`kind` is {found.kind!r}")
        hold(found.m_space.size == dim, f"`m_space` has size {found.m_space.size}, xi {dim}")
        hold(found.d_space.size == size, f"`d_space` has size {found.d_space.size}, data {size}")
        one = found(case.xi(1)[0])
        hold(np.shape(one) == (size,), f"a prediction has shape {np.shape(one)}")
    wanted = {Role.FORWARD: (n, size), Role.DENOISER: (n, dim), Role.INVERSE: (2, n, dim)}
    shape = wanted[case.kind.role]
    if case.kind.role == Role.DENOISER:
        own, law = law_of(case.trained, case.problem, case.prior, case.sensors)
        hold(own.space.names == case.prior.space.names, "its prior is of another unknown")
        shape = (n, law.space.size)
    if case.kind.role == Role.INVERSE:
        shape = (2, n, found.space.size)
        sizes = {"xi": dim, "m": case.prior.space.size, "grid": shape[2]}
        hold(shape[2] == sizes[found.of], f"`space` has size {shape[2]}, not that of {found.of}")
    answers = case.answers()
    hold(answers.shape == shape, f"answers have shape {answers.shape}, expected {shape}")
    hold(np.isfinite(answers).all(), "an answer is not finite")


@CLAUSES.clause(
    "learns", "it learns the operator: the held-out relative error is small",
    needs=("metadata", "bound"),
)  # fmt: skip
def learns(case: Case) -> str | None:
    if not case.forward:
        return ANOTHER
    said = case.trained.metadata["errors"].get(RECORDED)
    error = _fresh(case) if said is None else said
    hold(0 <= error < case.allowed, f"it is {error:.3g}, allowed {case.allowed:g}")
    return None


def _fresh(case: Case) -> float:
    """‖error‖ over the typical departure of the data from their mean, at draws nobody has seen."""
    xi, model = case.xi(FRESH, 1), case.model()
    reference = case.problem.forward_model(case.sensors, case.dataset.level)
    true = np.stack([reference(m) for m in case.prior.unwhiten(xi)])
    found = np.stack([model(x) for x in xi])
    departure = np.sqrt(np.mean(np.sum((true - true.mean(axis=0)) ** 2, axis=1)))
    return float(np.mean(np.linalg.norm(found - true, axis=1)) / departure)


@CLAUSES.clause(
    "honest", "the recorded error is that of fresh draws: what is held out is kept out of training",
    needs=("learns", "bound"),
)  # fmt: skip
def honest(case: Case) -> str | None:
    if not case.forward:
        return ANOTHER
    said = case.trained.metadata["errors"].get(RECORDED)
    if said is None:
        return f"no error is recorded under the name {RECORDED}"
    error = _fresh(case)
    hold(error < HONEST * said + 1e-12, f"recorded {said:.3g}, fresh draws show {error:.3g}")
    return None


@CLAUSES.clause(
    "estimates", "an inverse of ξ errs less than the prior mean on fresh data, with standard "
    "deviations above zero that hold as many truths as they claim, or nearly",
    needs=("bound",), where="pdeinv.model.learned.Inverse",
)  # fmt: skip
def estimates(case: Case) -> str | None:
    found: Any = case.bound()
    if case.kind.role != Role.INVERSE or found.of != "xi":
        return "it is no inverse of ξ"
    xi, std = case.xi(FRESH, 3), case.noise_std
    reference = case.problem.forward_model(case.sensors, case.dataset.level)
    values = np.stack([reference(m) for m in case.prior.unwhiten(xi)])
    noise = std * np.random.default_rng(6).standard_normal(values.shape)
    said = found(values + noise, std)
    hold(bool((said.std > 0).all()), "a standard deviation is not above zero")
    rms = float(np.sqrt(np.mean((said.mean - xi) ** 2)))
    hold(rms < 1, f"its rms error is {rms:.3g}, that of the prior mean 1")
    held = float(np.mean(np.abs(said.distance(xi)) < 2))
    hold(held > LEAST_HELD, f"two standard deviations hold {held:.0%} of the truths")
    return None


@CLAUSES.clause(
    "denoises", "a denoiser brings noisy fields nearer to the clean ones, row by row, and its "
    "adjoint derivative is that of differences, or refused with CapabilityError",
    needs=("bound",), where="pdeinv.model.learned.Denoiser",
)  # fmt: skip
def denoises(case: Case) -> str | None:
    if case.kind.role != Role.DENOISER:
        return "it is no denoiser"
    own, law = law_of(case.trained, case.problem, case.prior, case.sensors)
    xi, level = case.xi(FRESH, 4), float(law.spread)
    clean = xi if own is case.prior else whiten(own, case.prior.unwhiten(xi))
    noise = level * np.random.default_rng(8).standard_normal(clean.shape)
    found = law(clean + noise, level)
    left = float(np.sqrt(np.mean((found - clean) ** 2))) / level
    hold(left < 1, f"its error is {left:.3g} of the noise")
    one = law(clean[0] + noise[0], level)
    hold(one.shape == clean[0].shape, f"a field alone comes back with shape {one.shape}")
    worst = float(np.abs(one - found[0]).max() / np.abs(found[0]).max())
    hold(worst < 1e-6, f"a field alone differs by {worst:.2g} from what it is among others")
    return _adjoint(law, clean[:2] + noise[:2], level)


def _adjoint(law: Denoiser, noisy: Array, level: float) -> str | None:
    """Held against central differences along one direction."""
    rng = np.random.default_rng(9)
    direction, w = rng.standard_normal((2, *noisy.shape))
    if not law.differentiable:
        refused(lambda: law.vjp(noisy, level, w), "a derivative", CapabilityError)
        return "it has no derivative"
    step = 1e-4 * level
    ahead, behind = (law(noisy + s * direction, level) for s in (step, -step))
    change = np.sum(w * (ahead - behind), axis=-1) / (2 * step)
    said = np.sum(law.vjp(noisy, level, w) * direction, axis=-1)
    off = float(np.abs(said - change).max() / np.abs(change).max())
    hold(off < 1e-3, f"its adjoint differs by {off:.2g} from differences")
    return None


@CLAUSES.clause(
    "batches", "a batch gives what its points give alone, where BATCH is declared",
    needs=("bound",), where=BIND,
)  # fmt: skip
def batches(case: Case) -> str | None:
    if not case.forward or Capability.BATCH not in case.model().capabilities:
        return "it takes no batches"
    model, xi = case.model(), case.xi(3)
    alone = np.stack([model(x) for x in xi])
    worst = np.abs(model(xi) - alone).max() / np.abs(alone).max()
    hold(worst < 1e-6, f"they differ by {worst:.2g} of the peak")
    return None


@CLAUSES.clause(
    "rows", "where ROWS is declared, a row has the bits that it has alone, and is right",
    needs=("bound",), where="pdeinv.model.forward.OffersRows",
)  # fmt: skip
def rows(case: Case) -> str | None:
    model = by_rows(case.model()) if case.forward else None
    if model is None:
        return "it takes no rows"
    xi = case.xi(7)
    whole, linear = model.rows(xi), case.model().capabilities >= DERIVATIVES
    single = np.stack([case.model()(x) for x in xi])
    worst = np.abs(whole.values - single).max() / np.abs(single).max()
    hold(worst < 1e-6, f"rows and points alone differ by {worst:.2g} of the peak")
    ws = np.ones_like(whole.values)
    back = model.linearize_rows(xi).vjp(ws) if linear else ws
    for chosen in ([4], [6, 1], [0, 2, 1, 3]):
        same = np.array_equal(model.rows(xi[chosen]).values, whole.values[chosen])
        hold(same, f"{len(chosen)} rows have other bits than among 7")
        if linear:
            some = model.linearize_rows(xi[chosen]).vjp(ws[chosen])
            hold(np.array_equal(some, back[chosen]), "adjoint actions have other bits")
    return None


@CLAUSES.clause(
    "derivatives", "declared derivatives pass dot-product and Taylor test", needs=("bound",),
    where="pdeinv.bayes.check",
)  # fmt: skip
def derivatives(case: Case) -> str | None:
    if not case.forward or not case.model().capabilities >= DERIVATIVES:
        return "it declares none"
    model, rng = case.model(), np.random.default_rng(3)
    xi = 0.3 * case.xi(1)[0]
    error = dot_product_test(model, xi, rng)
    hold(error < MAX_DOT_PRODUCT_ERROR, f"dot-product error {error:.2g}")
    slope = taylor_test(model, xi, rng).slope
    hold(slope >= MIN_TAYLOR_SLOPE, f"the order of the Taylor remainder is {slope:.3g}, not 2")
    return None


@CLAUSES.clause(
    "variance", "where VARIANCE is declared, `variance` is positive and of the shape of the data",
    needs=("bound",), where="pdeinv.model.forward.Capability",
)  # fmt: skip
def variance(case: Case) -> str | None:
    if not case.forward or Capability.VARIANCE not in case.model().capabilities:
        return "it declares none"
    model: Any = case.model()
    found = np.asarray(model.variance(case.xi(3)))
    wanted = (3, case.dataset.values.shape[1])
    hold(found.shape == wanted, f"shape {found.shape}, expected {wanted}")
    hold((found >= 0).all() and np.isfinite(found).all(), "it is negative, or not finite")
    return None


@CLAUSES.clause(
    "order", "predictions are in the order of the sensors that it is bound to", needs=("bound",),
    where=BIND,
)  # fmt: skip
def order(case: Case) -> str | None:
    if not case.forward:
        return ANOTHER
    turn = np.random.default_rng(4).permutation(case.dataset.values.shape[1])
    turned = {c: np.asarray(a)[turn] for c, a in case.sensors.items()}
    other = cast(ForwardModel, case.trained.bind(case.problem, case.prior, turned))
    xi = case.xi(1)[0]
    worst = np.abs(other(xi) - case.model()(xi)[turn]).max() / np.abs(other(xi)).max()
    hold(worst < 1e-6, f"they differ by {worst:.2g} of the peak")
    return None


class _Wider:
    """A prior with draws that lie further out."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def unwhiten(self, xi: Array) -> Array:
        return np.asarray(self.inner.unwhiten(1.1 * np.asarray(xi)))


@CLAUSES.clause(
    "another-problem", "another problem or configuration is refused with SurrogateRejected",
    needs=("fit",), where=BIND,
)  # fmt: skip
def another_problem(case: Case) -> str | None:
    other = neighbour(case.problem, (UNKNOWN,) if _of_images(case) else ())
    if other is None:
        return "no number of the problem's configuration can be changed"
    bind = case.trained.bind
    refused(lambda: bind(other, other.prior(), case.sensors), "such a problem", SurrogateRejected)
    return None


@CLAUSES.clause(
    "another-prior", "another prior of the same size is refused with SurrogateRejected",
    needs=("fit",), where=BIND,
)  # fmt: skip
def another_prior(case: Case) -> str | None:
    if _of_images(case):
        return "images are of any unknown"
    prior: Any = _Wider(case.prior)
    bind = case.trained.bind
    refused(lambda: bind(case.problem, prior, case.sensors), "such a prior", SurrogateRejected)
    return None


def _of_images(case: Case) -> bool:
    """Whether it is an inverse of the coefficient on a grid, whatever the unknown."""
    return bool(case.kind.role == Role.INVERSE and case.bound().of == "grid")


@CLAUSES.clause(
    "another-sensors", "sensors that it was not trained at are predicted to the same error, or "
    "refused with SurrogateRejected in one line", needs=("learns", "bound"), where=BIND,
)  # fmt: skip
def another_sensors(case: Case) -> str | None:
    if not case.forward:
        return ANOTHER
    moved = {c: 0.5 * (np.asarray(a)[1:] + np.asarray(a)[:-1]) for c, a in case.sensors.items()}
    try:
        model = cast(ForwardModel, case.trained.bind(case.problem, case.prior, moved))
    except SurrogateRejected as error:
        hold(one_line(error), f"the message must be one line, got {str(error)!r}")
        return None
    xi = case.xi(10, 2)
    reference = case.problem.forward_model(moved, case.dataset.level)
    true = np.stack([reference(m) for m in case.prior.unwhiten(xi)])
    found = np.stack([model(x) for x in xi])
    error_there = np.mean(np.linalg.norm(found - true, axis=1) / np.linalg.norm(true, axis=1))
    hold(error_there < 2 * case.allowed, f"predicted with a relative error of {error_there:.2g}")
    return None
