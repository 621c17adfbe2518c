"""Every clause of the kit for surrogates finds the violation that is planted for it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from mutants import Mutants
from toy_problem import Toy
from toy_surrogate import LineConfig, ToySurrogate

from pdeinv.errors import SurrogateRejected
from pdeinv.model.forward import Capability, LinearModel
from pdeinv.model.learned import Estimate, Role
from pdeinv.plugins.conformance import check_surrogate
from pdeinv.plugins.conformance.surrogate_kit import CLAUSES
from pdeinv.surrogates.common.identity import Identity

mutant = MUTANTS = Mutants(ToySurrogate, LineConfig, CLAUSES)


@mutant("role")
class Titled(ToySurrogate):
    role = "forward"


@mutant("packages")
class Upside(ToySurrogate):
    @classmethod
    def needs(cls, config, training):
        return frozenset() if training else frozenset({"numpy"})


@mutant("few-refused")
class Modest(ToySurrogate):
    @classmethod
    def fit(cls, dataset, problem, config, seed, run=None):
        n = max(1, 10 // dataset.size)
        more = dataset.rows(np.tile(np.arange(dataset.size), n))
        return super().fit(more, problem, config, seed, run)


@mutant("foreign-data")
class Gullible(ToySurrogate):
    @classmethod
    def fit(cls, dataset, problem, config, seed, run=None):
        own = type(problem)(problem.Config(**dataset.problem_config))
        return super().fit(dataset, own, config, seed, run)


@mutant("fit")
class Scaling(ToySurrogate):
    @classmethod
    def fit(cls, dataset, problem, config, seed, run=None):
        found = super().fit(dataset, problem, config, seed, run)
        dataset.xi[:] = dataset.xi * 1.5
        return found


def with_metadata(clause, change):
    """The toy with other metadata."""

    class Changed(ToySurrogate):
        @classmethod
        def fit(cls, dataset, problem, config, seed, run=None):
            found = super().fit(dataset, problem, config, seed, run)
            return replace(found, metadata=change(dict(found.metadata)))

    MUTANTS[clause] = Changed


def errors(metadata, factor):
    return {**metadata, "errors": {k: factor * v for k, v in metadata["errors"].items()}}


with_metadata("metadata", lambda m: {k: v for k, v in m.items() if k != "noise_std"})
with_metadata("learns", lambda m: errors(m, 50))
with_metadata("honest", lambda m: errors(m, 0.1))


@mutant("pairs")
class Obliging(ToySurrogate):
    @classmethod
    def from_pairs(cls, problem, pairs, config, seed):
        return cls(np.zeros((1, 1)), np.zeros(1), {})


def with_model(clause):
    """The toy bound to another model."""

    def enter(model):
        class Changed(ToySurrogate):
            def bind(self, problem, prior, sensors):
                return model(**vars(super().bind(problem, prior, sensors)))

        MUTANTS[clause] = Changed
        return model

    return enter


@with_model("bound")
@dataclass(frozen=True)
class Posing(LinearModel):
    def __post_init__(self):
        object.__setattr__(self, "kind", "reference")


@with_model("batches")
@dataclass(frozen=True)
class Averaging(LinearModel):
    def __call__(self, m):
        found = super().__call__(m)
        return found if np.ndim(m) == 1 else found + 1e-3 * found.mean(axis=0)


@with_model("rows")
@dataclass(frozen=True)
class Crowded(LinearModel):
    def rows(self, ms):
        found = super().rows(ms)
        return replace(found, values=found.values * (1 + 1e-15 * len(ms)))


@with_model("derivatives")
@dataclass(frozen=True)
class Tilted(LinearModel):
    def linearize(self, m):
        return replace(super().linearize(m), vjp=lambda w: 1.01 * self.matrix.T @ w)


@with_model("variance")
@dataclass(frozen=True)
class Sure(LinearModel):
    def __post_init__(self):
        object.__setattr__(self, "capabilities", self.capabilities | {Capability.VARIANCE})

    def variance(self, m):
        return -np.ones_like(self(m))


@mutant("order")
class Fixed(ToySurrogate):
    def bind(self, problem, prior, sensors):
        found = super().bind(problem, prior, sensors)
        order = np.argsort(np.asarray(sensors["x"]))
        return replace(found, matrix=found.matrix[order], offset=found.offset[order])


class Backward:
    """An inverse."""

    of = "xi"

    def __init__(self, model, sign=1.0):
        self.model, self.space, self.sign = model, model.m_space, sign

    def __call__(self, data, noise_std):
        mean = self.sign * (data - self.model.offset) @ np.linalg.pinv(self.model.matrix).T
        return Estimate(mean, np.ones_like(mean))


@mutant("estimates")
class Backwards(ToySurrogate):
    role = Role.INVERSE

    def bind(self, problem, prior, sensors):
        return Backward(super().bind(problem, prior, sensors), -1.0)


class Shrinking:
    """A denoiser."""

    spread, differentiable = 1.0, True

    def __init__(self, space):
        self.space = space

    def __call__(self, noisy, level):
        return noisy / (1 + level**2)

    def vjp(self, noisy, level, w):
        return w / (1 + level**2)


class Sharpening(Shrinking):
    """It answers the noisy field with more noise."""

    def __call__(self, noisy, level):
        return noisy * (1 + level)


@mutant("denoises")
class Noisier(ToySurrogate):
    role = Role.DENOISER

    def bind(self, problem, prior, sensors):
        return Sharpening(super().bind(problem, prior, sensors).m_space)


@mutant("another-problem")
class Loyal(ToySurrogate):
    def bind(self, problem, prior, sensors):
        own = type(problem)(problem.Config(**self.metadata["problem_config"]))
        return super().bind(own, own.prior(), sensors)


@mutant("another-prior")
class Incurious(ToySurrogate):
    def bind(self, problem, prior, sensors):
        return super().bind(problem, problem.prior(), sensors)


@mutant("another-sensors")
class Nearest(ToySurrogate):
    def bind(self, problem, prior, sensors):
        trained = np.asarray(Identity.from_json(self.metadata).sensors["x"])
        near = np.abs(trained[:, None] - np.asarray(sensors["x"])).argmin(axis=0)
        found = super().bind(problem, prior, {"x": trained[near]})
        same = np.isin(sensors["x"], trained).all()
        return found if same else replace(found, offset=found.offset + 1.0)


@mutant("saved")
class Halving(ToySurrogate):
    @classmethod
    def load(cls, folder):
        found = super().load(folder)
        return replace(found, matrix=found.matrix.astype(np.float32).astype(float))


@mutant("no-pickle")
class Pickling(ToySurrogate):
    def save(self, folder):
        super().save(folder)
        (Path(folder) / "weights.pkl").write_bytes(b"")


@mutant("damaged-refused")
class Careless(ToySurrogate):
    @classmethod
    def load(cls, folder):
        try:
            return super().load(folder)
        except Exception as error:
            raise KeyError("matrix") from error


@mutant("again")
class Global(ToySurrogate):
    @classmethod
    def fit(cls, dataset, problem, config, seed, run=None):
        found = super().fit(dataset, problem, config, seed, run)
        noise = 1e-9 * np.random.standard_normal(found.offset.shape)  # noqa: NPY002
        return replace(found, offset=found.offset + noise)


def test_the_toy_keeps_every_clause():
    report = check_surrogate(ToySurrogate, problem=Toy())
    report.raise_for_failures()
    assert {f.clause for f in report.findings} == set(CLAUSES.clauses)


def test_every_clause_has_its_mutant():
    assert set(MUTANTS) == set(CLAUSES.clauses)


@pytest.mark.slow
@pytest.mark.parametrize("clause", MUTANTS)
def test_the_planted_violation_is_found(clause):
    options = MUTANTS.options(clause)
    report = check_surrogate(MUTANTS[clause], options, problem=Toy())
    MUTANTS.assert_found(clause, report, most=6)


def test_without_a_recorded_error_fresh_draws_are_judged():
    class Quiet(ToySurrogate):
        scale = 1.0

        @classmethod
        def fit(cls, dataset, problem, config, seed, run=None):
            found = super().fit(dataset, problem, config, seed, run)
            bare = {**found.metadata, "errors": {"rms": 0.1}}
            return replace(found, matrix=cls.scale * found.matrix, metadata=bare)

    check_surrogate(Quiet, problem=Toy(), without=("another-sensors",)).raise_for_failures()
    Quiet.scale = 9.0
    report = check_surrogate(Quiet, problem=Toy())
    assert {f.clause for f in report.failures} == {"learns"}


@pytest.mark.parametrize("role", [Role.INVERSE, Role.DENOISER])
def test_members_of_other_roles_stand_before_their_own_clauses(role):
    class Other(ToySurrogate):
        def bind(self, problem, prior, sensors):
            found = super().bind(problem, prior, sensors)
            inverse = Backward(found)
            return inverse if role == Role.INVERSE else Shrinking(found.m_space)

    Other.role = role
    check_surrogate(Other, problem=Toy()).raise_for_failures()

    class Wrong(Other):
        def bind(self, problem, prior, sensors):
            raise SurrogateRejected("never")

    report = check_surrogate(Wrong, problem=Toy())
    assert "bound" in {f.clause for f in report.failures}
