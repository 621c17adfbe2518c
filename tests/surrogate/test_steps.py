"""Operators that step from one stored time to the next: exact steps, learned ones, and refusals."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.errors import ConfigError, DataSchemaError, Preempted, SurrogateRejected
from pdeinv.io import datasets
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.surrogates.common.lesson import Lesson
from pdeinv.surrogates.common.scaling import Pod
from pdeinv.surrogates.common.split import Split
from pdeinv.surrogates.operators.fno import Fno, FnoConfig
from pdeinv.surrogates.operators.rollout import restarted, rollout
from pdeinv.surrogates.operators.stepping import Stepping
from pdeinv.surrogates.operators.task import scaling_of, task_of
from pdeinv.surrogates.operators.tfno import Tfno, TfnoConfig
from pdeinv.surrogates.operators.uno import Uno, UnoConfig
from pdeinv.surrogates.training.config import Data

pytestmark = pytest.mark.usefixtures("solves_here")

torch = pytest.importorskip("torch")

TIMES = tuple(np.linspace(0, 1, 6))
CONFIG = {
    "cells": 8,
    "conductivity": 0.02,
    "boundary": {"left": {"kind": "dirichlet", "value": 1.0}},
    "time": {"steps": 10},
    "unknown": {
        "kind": "initial-state",
        "prior": {"kind": "gaussian", "length": 0.4, "modes": 4, "grid": [9, 9]},
    },
}
QUICK = {
    "time": "steps", "epochs": 10, "batch_size": 8, "width": 8, "layers": 2, "modes": 6,
    "learning_rate": 2e-2,
}  # fmt: skip
SHORT = FnoConfig(**{**QUICK, "epochs": 2, "unroll": 2})


@pytest.fixture(scope="module")
def problem():
    return make_problem("heat", CONFIG)


@pytest.fixture(scope="module")
def file(problem, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    sensors = problem.sensors("grid:3x3@0.2:1:5")
    generate(
        Plan("heat", CONFIG, sensors, 60, 4, grid=(9, 9), times=TIMES), folder / "data.nc",
        folder / "run",
    )  # fmt: skip
    return folder / "data.nc"


@pytest.fixture(scope="module")
def dataset(file):
    return datasets.read(file)


@pytest.fixture(scope="module")
def trained(problem, dataset):
    return Fno.fit(dataset, problem, FnoConfig(**QUICK), 1)


def bound(surrogate, problem, spec="grid:3x3@0.2:1:5", **how):
    return surrogate.bind(problem, problem.prior(), problem.sensors(spec), **how)


def parts(problem, dataset, config=SHORT):
    """Task, scales of the fields and scales of the steps, of all samples."""
    rows = np.arange(dataset.size)
    lesson = Lesson(dataset, problem, config, 1, FitRun(), Split(rows, rows[:0], rows[:0]))
    task = task_of("fno", lesson)
    scaling = scaling_of(task, rows, False, config.width)
    return task, scaling, Stepping.fit(task, scaling, rows)


class Linear(torch.nn.Module):
    """The G that makes z_(k+1) = A z_k exact: (A z - z) / w, told s_k and w_k by the clock."""

    def __init__(self, operator, stepping):
        super().__init__()
        self.operator = torch.as_tensor(operator - np.eye(len(operator)))
        self.sizes, self.increments = map(torch.as_tensor, (stepping.sizes, stepping.increments))

    def forward(self, x):
        k = (x[:, 1, 0, 0] * len(self.sizes)).round().long()
        z = x[:, 0] * self.sizes[k][:, None, None]
        change = (z.flatten(1) @ self.operator.T).reshape(z.shape)
        return change / self.increments[k].clamp_min(1e-300)


@pytest.fixture(scope="module")
def exact(problem, dataset):
    """A data set of u_(k+1) = A u_k from random states, and the exact step in a roll-out."""
    rng = np.random.default_rng(2)
    operator = 0.9 * np.linalg.qr(rng.standard_normal((81, 81)))[0]
    states = [dataset.coefficient.reshape(-1, 81)]
    for _ in TIMES[1:]:
        states.append(states[-1] @ operator.T)
    field = np.stack(states, axis=1).reshape(-1, len(TIMES), 9, 9)
    own = replace(dataset, field=field)
    _, scaling, stepping = parts(problem, own)
    return own, scaling, stepping, rollout(Linear(operator, stepping), scaling, stepping)


def test_exact_steps_reproduce_the_semigroup(exact):
    own, scaling, stepping, module = exact
    assert stepping.from_unknown
    assert stepping.inputs == 2
    found = module(torch.as_tensor(scaling.encode(own.coefficient))).numpy()
    np.testing.assert_allclose(found, scaling.encode_field(own.field), atol=1e-11)


@pytest.mark.parametrize(
    ("unroll", "begins"),
    [(1, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (3, [0, 3]), (4, [0, 3]), (5, [0]), (9, [0])],
)
def test_windows_begin_at_true_states(exact, unroll, begins):
    own, scaling, stepping, module = exact
    x, y = scaling.encode(own.coefficient), scaling.encode_field(own.field)
    data = restarted(Data(x, y, x, y), unroll)
    assert data.valid_x is x
    given = torch.as_tensor(data.train_x)
    np.testing.assert_allclose(module(given).numpy(), y, atol=1e-11)
    # with a step that changes nothing, a window holds the true state that it began with
    still = rollout(lambda inputs: 0 * inputs[:, 0], scaling, stepping)(given).numpy()
    of = [max(k for k in begins if k < after) for after in range(1, 6)]
    np.testing.assert_allclose(still, y[:, [0, *of]], atol=1e-12)


def test_learns_heat_and_beats_persistence(trained, problem, dataset):
    errors = trained.metadata["errors"]
    assert trained.metadata["extra"]["first_state"] == "the unknown"
    assert trained.metadata["extra"]["steps"] == 5
    held_out = dataset.field[Split.of(dataset.size, 1).test].reshape(-1, 6, 81)
    size = np.linalg.norm(held_out.reshape(len(held_out), -1), axis=1)
    still = np.linalg.norm((held_out - held_out[:, :1]).reshape(len(size), -1), axis=1)
    assert errors["field_relative_l2"] < 0.25 * np.mean(still / size)
    # fresh draws, at other places and between the stored times
    where = problem.sensors("grid:4x5@0.15:0.95:3")
    xi = np.random.default_rng(8).standard_normal((20, 4))
    true = np.stack([problem.forward_model(where)(m) for m in problem.prior().unwhiten(xi)])
    model = trained.bind(problem, problem.prior(), where)
    learnt = np.linalg.norm(model(xi) - true) / np.linalg.norm(true)
    assert learnt < 0.1
    # negative control: two epochs are not enough
    green = Fno.fit(dataset, problem, SHORT, 1)
    short = green.bind(problem, problem.prior(), where)(xi)
    assert np.linalg.norm(short - true) > 2 * learnt * np.linalg.norm(true)


def test_what_is_prescribed_stays_exact(trained, problem):
    places = {"x": np.array([0.0, 1.0, 0.5]), "y": np.array([0.5, 0.5, 1.0]), "t": np.full(3, 0.7)}
    model = trained.bind(problem, problem.prior(), places)
    np.testing.assert_allclose(model(np.full(4, 0.7)), [1.0, 0.0, 0.0], atol=1e-12)


def test_the_first_state_is_the_unknown(trained, problem):
    at = problem.sensors("list:0.5,0.5;0.25,0.75@0")
    reference = problem.forward_model(at)
    xi = np.full(4, 0.7)
    found = trained.bind(problem, problem.prior(), at)(xi)
    np.testing.assert_allclose(found, reference(problem.prior().unwhiten(xi)), rtol=1e-10)


def test_times_beyond_the_trained_ones_are_refused(trained, problem):
    places = {"x": np.array([0.5]), "y": np.array([0.5]), "t": np.array([1.2])}
    with pytest.raises(SurrogateRejected, match=r"t from 0 to 1.*t = 1\.2"):
        trained.bind(problem, problem.prior(), places)


@pytest.mark.parametrize("shape", [None, (10, 13)])
def test_derivatives_run_through_all_steps(trained, problem, shape):
    model = bound(trained, problem, shape=shape)
    rng = np.random.default_rng(3)
    xi = 0.3 * rng.standard_normal(4)
    assert dot_product_test(model, xi, rng) < 1e-11
    assert 1.9 < taylor_test(model, xi, rng).slope < 2.1


def test_a_network_carries_over_to_another_grid(trained, problem):
    xi = np.random.default_rng(8).standard_normal((10, 4))
    coarse, fine = bound(trained, problem)(xi), bound(trained, problem, shape=(17, 17))(xi)
    assert np.linalg.norm(fine - coarse) < 0.1 * np.linalg.norm(coarse)


def test_saved_and_loaded_gives_the_same_numbers(trained, problem, tmp_path):
    trained.save(tmp_path / "s")
    again = load_surrogate(tmp_path / "s")
    xi = np.random.default_rng(5).standard_normal((3, 4))
    np.testing.assert_array_equal(bound(again, problem)(xi), bound(trained, problem)(xi))
    assert again.metadata == trained.metadata


def test_resuming_and_streaming_give_the_same_bits(problem, dataset, file, tmp_path):
    whole = Fno.fit(dataset, problem, SHORT, 1)
    with pytest.raises(Preempted, match="stopped after epoch 0 and step 1"):
        Fno.fit(dataset, problem, SHORT, 1, FitRun(tmp_path, should_stop=lambda: True))
    resumed = Fno.fit(dataset, problem, SHORT, 1, FitRun(tmp_path, resume=True))
    streamed = Fno.fit(datasets.read(file, 0), problem, SHORT, 1)
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], array)
        np.testing.assert_array_equal(streamed.weights[name], array)
    assert resumed.metadata == whole.metadata
    # a step in pieces is the same step up to rounding
    pieces = Fno.fit(dataset, problem, SHORT.model_copy(update={"accumulation": 3}), 1)
    for name, array in whole.weights.items():
        np.testing.assert_allclose(pieces.weights[name], array, atol=2e-3)


def test_trains_in_half_precision_with_averaged_weights(problem, dataset):
    config = SHORT.model_copy(update={"ema": 0.9, "epochs": 4})
    plain, half = (
        Fno.fit(dataset, problem, config, 1, FitRun(dtype=dtype)).metadata["errors"]
        for dtype in ("float32", "bfloat16")
    )
    assert half["relative_l2"] == pytest.approx(plain["relative_l2"], rel=0.5)


def uneven(dataset, name="t"):
    """u(x, t) = exp(-t) (mean + t c(x)) at uneven times: the first state is the same for all."""
    times = np.array([0.0, 0.1, 0.4, 1.0])
    mean = dataset.coefficient.mean(axis=0)
    part = times[:, None, None] * dataset.coefficient[:, None]
    field = np.exp(-times)[:, None, None] * (mean + part)
    return replace(dataset, field=field, experiments={name: times})


@pytest.mark.parametrize(
    ("cls", "config"),
    [
        (Tfno, TfnoConfig(**{**QUICK, "epochs": 1}, rank=0.3)),
        (Uno, UnoConfig(**{**QUICK, "epochs": 1, "layers": 4})),
    ],
)
def test_uneven_steps_are_told_and_the_known_first_state_is_kept(cls, config, problem, dataset):
    own = uneven(dataset)
    _, _, stepping = parts(problem, own)
    np.testing.assert_allclose(stepping.clock[:, 0], [0, 0.1, 0.4])
    np.testing.assert_allclose(np.exp(stepping.clock[:, 1]) / 3, [0.1, 0.3, 0.6])
    assert stepping.inputs == 4
    trained = cls.fit(own, problem, config, 1)
    assert trained.metadata["extra"]["first_state"] == "the same in all samples"
    places = {"x": np.array([0.5]), "y": np.array([0.25]), "t": np.array([0.0])}
    model = trained.bind(problem, problem.prior(), places)
    np.testing.assert_allclose(model(np.ones(4)), trained.scaling.mean[0, 2, 4], rtol=1e-12)
    later = trained.bind(problem, problem.prior(), {**places, "t": np.array([0.7])})
    rng = np.random.default_rng(3)
    assert dot_product_test(later, 0.3 * np.ones(4), rng) < 1e-11
    assert taylor_test(later, 0.3 * np.ones(4), rng).slope > 1.9


def test_nodes_outside_the_domain_stay_out_of_all_steps(problem, dataset):
    y, x = np.meshgrid(*dataset.axes.values(), indexing="ij")
    outside = (x - 0.5) ** 2 + (y - 0.5) ** 2 > 0.5**2 + 1e-9
    field, coefficient = dataset.field.copy(), dataset.coefficient.copy()
    field[..., outside], coefficient[:, outside] = np.nan, 7.0
    disc = replace(dataset, field=field, coefficient=coefficient)
    stepping = parts(problem, disc)[2]
    assert not stepping.increments[:, outside].any()
    assert not stepping.start[outside].any()
    trained = Fno.fit(disc, problem, SHORT, 1)
    wild = replace(disc, coefficient=np.where(outside, np.nan, coefficient))
    other = Fno.fit(wild, problem, SHORT, 1)
    for name, weight in trained.weights.items():
        np.testing.assert_array_equal(other.weights[name], weight)


def test_few_trajectories_make_a_gradient_where_no_number_is_given():
    assert FnoConfig(time="steps").batch_size == 2
    assert FnoConfig(time="steps", batch_size=5).batch_size == 5
    assert FnoConfig().batch_size == 8


def test_without_two_times_there_are_no_steps(problem, dataset):
    steady = replace(dataset, field=dataset.field[:, 2:3], experiments={"t": np.array([0.4])})
    with pytest.raises(DataSchemaError, match=r"two times or more.*one, t = 0\.4.*--times 0:LAST"):
        Fno.fit(steady, problem, SHORT, 1)
    darcy = make_problem("darcy", {"cells": 4})
    places = darcy.sensors("grid:2x2")
    still = replace(
        dataset, problem="darcy", problem_config={"cells": 4}, experiments={},
        field=dataset.field[:, 0], sensors=places,
    )  # fmt: skip
    task = task_of("fno", Lesson(still, darcy, SHORT, 1, FitRun(), Split.whole(60)))
    with pytest.raises(DataSchemaError, match=r"two times or more, the data set has steady fields"):
        Stepping.fit(task, scaling_of(task, np.arange(60), False, 8), np.arange(60))


def test_a_first_state_that_is_not_known_is_refused(problem, dataset):
    late = replace(dataset, field=dataset.field[:, 1:], experiments={"t": np.array(TIMES[1:])})
    with pytest.raises(DataSchemaError, match=r"first state, here of t = 0\.2.*--times 0:LAST"):
        Fno.fit(late, problem, SHORT, 1)


def test_other_leading_axes_and_data_off_the_grid_are_refused(problem, dataset):
    task, scaling, _ = parts(problem, dataset)
    sources = replace(task, experiments={"source": np.arange(2), "t": np.asarray(TIMES)})
    with pytest.raises(DataSchemaError, match=r"vary over t alone.*over source, t; use time"):
        Stepping.fit(sources, scaling, np.arange(60))
    pod = Pod(np.zeros(2), np.ones(2), np.eye(2))
    with pytest.raises(ConfigError, match=r"values of a field at places and times"):
        Stepping.fit(replace(task, pod=pod), scaling, np.arange(60))
