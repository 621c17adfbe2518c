"""The derivative checks themselves: they pass what is right and fail what is wrong."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, gradient_test, taylor_test
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.errors import CapabilityError, RunFailed, SolverDiverged
from pdeinv.model.forward import Capability, Linearization
from pdeinv.model.spaces import Space, Variable

N, K = 6, 4


def line(name, n):
    return Space((Variable(name, (f"{name}_dim",), (n,)),))


@dataclass(frozen=True)
class Curved:
    """G(m) = A exp(m), with a plantable fault in its derivatives."""

    jvp_fault: float = 0.0
    vjp_fault: float = 0.0
    fails_beyond: float = np.inf
    kind: str = "reference"
    capabilities: frozenset = frozenset({Capability.JVP, Capability.VJP})
    m_space: Space = field(default_factory=lambda: line("m", N))
    d_space: Space = field(default_factory=lambda: line("d", K))

    @property
    def matrix(self):
        return np.random.default_rng(7).standard_normal((K, N))

    def __call__(self, m):
        if np.abs(m).max() > self.fails_beyond:
            raise SolverDiverged("too far")
        return self.matrix @ np.exp(m)

    def linearize(self, m):
        a, slope = self.matrix, np.exp(m)
        wrong = np.zeros(N)
        wrong[0] = 1.0
        return Linearization(
            a @ slope,
            lambda dm: a @ (slope * (1 + self.jvp_fault * wrong) * dm),
            lambda w: slope * (1 + self.vjp_fault * wrong) * (a.T @ w),
        )


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, -3.0])
def test_a_right_derivative_passes_on_any_scale(scale, rng):
    m = scale * (1 + rng.random(N))
    assert dot_product_test(Curved(), m, rng) < 1e-14
    found = taylor_test(Curved(), m, rng)
    assert found.slope == pytest.approx(2.0, abs=0.05)
    assert len(found.steps) == len(found.remainders) == len(found.slopes) + 1


@pytest.mark.parametrize("fault", [1.0, 1e-2, 1e-4])
def test_a_wrong_tangent_fails_the_taylor_test(fault, rng):
    assert taylor_test(Curved(jvp_fault=fault), np.ones(N), rng).slope < 1.2


@pytest.mark.parametrize("fault", [1.0, 1e-3, 1e-6])
def test_an_adjoint_of_something_else_fails_the_dot_product_test(fault, rng):
    assert dot_product_test(Curved(vjp_fault=fault), np.ones(N), rng) > 1e-10


@pytest.mark.parametrize("fault", ["jvp_fault", "vjp_fault"])
def test_a_derivative_that_is_not_a_number_passes_no_test(fault, rng):
    assert dot_product_test(Curved(**{fault: np.nan}), np.ones(N), rng) == np.inf


def test_a_tangent_and_adjoint_wrong_alike_pass_the_dot_product_but_not_the_taylor_test(rng):
    model = Curved(jvp_fault=0.1, vjp_fault=0.1)
    assert dot_product_test(model, np.ones(N), rng) < 1e-14
    assert taylor_test(model, np.ones(N), rng).slope < 1.2


def test_a_linear_model_is_recognised_and_a_wrong_linear_one_fails(rng):
    posterior = LinearGaussian.example(rng).posterior()
    found = taylor_test(posterior.model, np.ones(3), rng)
    assert found.linear
    assert found.slope == 2.0

    inner = posterior.model.model
    wrong = replace(inner, matrix=inner.matrix.copy())
    at = wrong.linearize

    @dataclass(frozen=True)
    class Wrong:
        m_space: Space = wrong.m_space
        d_space: Space = wrong.d_space
        capabilities: frozenset = wrong.capabilities
        kind: str = "reference"

        def __call__(self, m):
            return wrong(m)

        def linearize(self, m):
            return replace(at(m), jvp=lambda dm: 1.001 * at(m).jvp(dm))

    found = taylor_test(Wrong(), np.ones(3), rng)
    assert not found.linear
    assert found.slope == pytest.approx(1.0, abs=0.05)


def test_the_gradient_test_sees_a_wrong_gradient(rng):
    posterior = LinearGaussian.example(rng).posterior()
    assert gradient_test(posterior, np.ones(3), rng).slope == pytest.approx(2.0, abs=0.05)
    inner = posterior.model

    class Wrong:
        m_space, d_space = inner.m_space, inner.d_space
        capabilities, kind = inner.capabilities - {Capability.ROWS}, inner.kind

        def __call__(self, xi):
            return inner(xi)

        def linearize(self, xi):
            at = inner.linearize(xi)
            return replace(at, vjp=lambda w: 1.001 * at.vjp(w))

    wrong = replace(posterior, model=Wrong())
    assert gradient_test(wrong, np.ones(3), rng).slope < 1.2


def test_steps_that_fail_far_away_are_passed_over(rng):
    found = taylor_test(Curved(fails_beyond=1.01), np.ones(N), rng)
    assert found.steps[0] < 0.1
    assert found.slope == pytest.approx(2.0, abs=0.05)


def test_a_model_that_fails_everywhere_is_an_error(rng):
    with pytest.raises(RunFailed, match="around m: too far"):
        taylor_test(Curved(fails_beyond=0.0), np.ones(N), rng)


def test_a_missing_capability_is_named(rng):
    bare = Curved(capabilities=frozenset())
    with pytest.raises(CapabilityError, match="Taylor test needs jvp"):
        taylor_test(bare, np.ones(N), rng)
    with pytest.raises(CapabilityError, match="dot-product test needs jvp, vjp"):
        dot_product_test(bare, np.ones(N), rng)
