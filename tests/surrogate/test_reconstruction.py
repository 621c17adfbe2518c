"""Images from data: the linear formulas, calibration, baselines in order, odd data, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from image_sets import DISC, bound_to, fitted, made

from pdeinv.bayes.bands import coverage, image_errors
from pdeinv.bayes.noise import Noise
from pdeinv.errors import CapabilityError, ConfigError, DataSchemaError, SurrogateRejected
from pdeinv.model.learned import Estimate
from pdeinv.plugins.aligned import Measured
from pdeinv.plugins.conformance import check_surrogate
from pdeinv.plugins.estimated import estimate_of, told_of_data
from pdeinv.plugins.recipe import make_problem
from pdeinv.surrogates.common.scaling import Standard
from pdeinv.surrogates.reconstruction.average import AverageImage
from pdeinv.surrogates.reconstruction.experiments import Experiments
from pdeinv.surrogates.reconstruction.lin_fno import LinFno
from pdeinv.surrogates.reconstruction.linear import LinearImages
from pdeinv.surrogates.reconstruction.linear_image import LinearImage
from pdeinv.surrogates.reconstruction.modes import DataModes, Seen
from pdeinv.surrogates.reconstruction.nio import Nio, Reader

pytestmark = pytest.mark.usefixtures("solves_here")

DARCY = {"cells": [12, 12], "unknown": {"kind": "log-gaussian", "grid": [9, 9], "modes": 10}}
FIELD = {"kind": "piecewise", "cells": [10, 10], "std": 0.3}


@pytest.fixture(scope="module")
def darcy(tmp_path_factory):
    return made("darcy", DARCY, "grid:5x5", 400, tmp_path_factory.mktemp("darcy"))


# --- formulas ----------------------------------------------------------------------------------


def gaussian(n=4000):
    """Images that are linear in Gaussian coefficients, and data of them, with exact covariances."""
    rng = np.random.default_rng(0)
    root, forward = rng.standard_normal((5, 3)), rng.standard_normal((8, 5))
    images = 2.0 + rng.standard_normal((n, 3)) @ root.T
    values = images @ forward.T
    return root, forward, images, values


def wiener(root, forward, data, variance):
    """E[x | d] and its standard deviation by the textbook formula, noise variance by datum."""
    c = root @ root.T
    gain = c @ forward.T @ np.linalg.inv(forward @ c @ forward.T + np.diag(variance))
    mean = 2.0 + (data - forward @ np.full(5, 2.0)) @ gain.T
    return mean, np.sqrt(np.diag(c - gain @ forward @ c))


def linear_of(images, values):
    modes = DataModes.fit(values, np.full(8, 0.5), 8)
    return LinearImages.fit(modes, values, images)


def test_the_linear_reconstruction_is_the_wiener_filter():
    root, forward, images, values = gaussian()
    found = linear_of(images, values)
    data = values[:5] + 1.0
    seen = Seen(data, np.full(5, np.log(2.0)))
    mean, std = wiener(root, forward, data, np.full(8, 1.0))
    assert found(seen) == pytest.approx(mean, abs=0.25)
    assert found.std(seen)[0] == pytest.approx(std, rel=0.06)


def test_missing_data_and_uneven_noise_are_taken_as_the_formula_says():
    root, forward, images, values = gaussian()
    found, data = linear_of(images, values), values[:5] + 1.0
    ratio = np.linspace(1.0, 4.0, 8)
    uneven = Seen(data, np.zeros(5), ratio)
    mean, std = wiener(root, forward, data, (0.5 * ratio) ** 2)
    assert found(uneven) == pytest.approx(mean, abs=0.25)
    assert found.std(uneven)[0] == pytest.approx(std, rel=0.06)
    some = np.where(np.arange(8) < 4, data, np.nan)
    mean, _ = wiener(root, forward[:4], data[:, :4], np.full(4, 0.25))
    assert found(Seen(some, np.zeros(5))) == pytest.approx(mean, abs=0.25)


def test_both_ways_to_the_same_image_agree():
    _, _, images, values = gaussian(50)
    found = replace(linear_of(images, values), extra=0.3)
    whole, same = Seen(values[:4], np.zeros(4)), Seen(values[:4], np.zeros(4), np.ones(8))
    assert found(whole) == pytest.approx(found(same), rel=1e-9)
    assert found.std(whole) == pytest.approx(found.std(same), rel=1e-9)
    assert found.data.oddity(whole) == pytest.approx(found.data.oddity(same), rel=1e-6)


def test_ridge_does_not_look_at_the_noise():
    _, _, images, values = gaussian(50)
    ridge = replace(linear_of(images, values), extra=0.3, knows_noise=False)
    quiet, loud = (ridge(Seen(values[:3], np.full(3, level))) for level in (-2.0, 2.0))
    assert np.array_equal(quiet, loud)


def test_oddity_is_one_over_the_family_with_its_noise_and_large_beyond():
    _, _, _, values = gaussian()
    modes = DataModes.fit(values, np.full(8, 0.5), 3)
    rng = np.random.default_rng(3)
    data = values + rng.standard_normal(values.shape)
    seen = Seen(data, np.full(len(data), np.log(2.0)))
    assert modes.oddity(seen).mean() == pytest.approx(1.0, abs=0.05)
    strange = Seen(data + 6 * rng.choice([-1, 1], data.shape), seen.level)
    assert np.median(modes.oddity(strange)) > 5


def test_errors_of_images_are_medians_over_images_of_relative_ones():
    truth = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]])
    found = truth + np.array([[0.1, -0.1], [0.2, 0.6], [0.0, 0.4]])
    said = image_errors(found, truth)
    assert said["image_l1"] == pytest.approx(np.median([0.1, 0.2, 0.05]))


# --- members -----------------------------------------------------------------------------------


def test_data_tell_more_than_the_median_and_the_noise_more_than_none(darcy):
    errors = {}
    for label, kind, options in (
        ("mean", AverageImage, {"statistic": "mean"}),
        ("median", AverageImage, {}),
        ("ridge", LinearImage, {"method": "ridge"}),
        ("wiener", LinearImage, {}),
    ):
        errors[label] = fitted(kind, darcy, **options).metadata["errors"]
    assert errors["median"]["image_l1"] <= 1.02 * errors["mean"]["image_l1"]
    assert errors["wiener"]["image_l2"] < 0.8 * errors["mean"]["image_l2"]
    assert errors["wiener"]["image_l2"] < errors["ridge"]["image_l2"]
    assert all(0.8 < e["coverage_90"] < 0.97 for e in errors.values())


@pytest.fixture(scope="module")
def refined(darcy):
    options = {"epochs": 12, "members": 2, "modes": 4, "width": 8, "learning_rate": 4e-3}
    return fitted(LinFno, darcy, **options)


def test_operators_refine_the_linear_image(darcy, refined):
    linear = fitted(LinearImage, darcy).metadata["errors"]
    assert refined.metadata["errors"]["image_l1"] < linear["image_l1"]
    assert refined.metadata["extra"]["calibrated_on"] == 100


def test_bands_hold_nine_of_ten_new_truths(darcy, tmp_path):
    linear = fitted(LinearImage, darcy)
    problem, dataset = darcy
    prior, xi = problem.prior(), np.random.default_rng(9).standard_normal((150, 10))
    model = problem.forward_model(dataset.sensors)
    values = np.stack([model(m) for m in prior.unwhiten(xi)])
    truth = np.stack([problem.grid_operator((9, 9)) @ m for m in prior.unwhiten(xi)])
    std = np.asarray(linear.metadata["noise_std"])
    data = values + std * np.random.default_rng(8).standard_normal(values.shape)
    found = linear.bind(problem, prior, dataset.sensors)(data, std)
    assert found.of == "grid"
    assert coverage(Estimate(found.mean, found.std), truth) == pytest.approx(0.9, abs=0.05)
    assert np.mean(found.likeness < 0.05) < 0.12


@pytest.mark.parametrize("name", ["linear", "refined"])
def test_what_is_stored_gives_the_same_bits(name, darcy, refined, tmp_path):
    trained = refined if name == "refined" else fitted(LinearImage, darcy)
    trained.save(tmp_path / "s")
    problem, dataset = darcy
    again = type(trained).load(tmp_path / "s")
    std = np.asarray(trained.metadata["noise_std"])
    one, two = (
        s.bind(problem, problem.prior(), dataset.sensors)(dataset.values[:3], std)
        for s in (trained, again)
    )
    assert np.array_equal(one.mean, two.mean)
    assert np.array_equal(one.std, two.std)
    assert np.array_equal(one.likeness, two.likeness)


def test_fewer_sensors_in_another_order_are_taken(darcy, refined):
    problem, dataset = darcy
    std, some = np.asarray(refined.metadata["noise_std"]), np.array([20, 3, 11, 7])
    sensors = {c: np.asarray(v)[some] for c, v in dataset.sensors.items()}
    few = refined.bind(problem, problem.prior(), sensors)(dataset.values[:5][:, some], std[some])
    whole = refined.bind(problem, problem.prior(), dataset.sensors)(dataset.values[:5], std)
    assert np.isfinite(few.mean).all()
    assert few.std.mean() > whole.std.mean()


# --- in an inversion ---------------------------------------------------------------------------


def asked(trained, problem, dataset, data):
    std = np.asarray(trained.metadata["noise_std"])
    return estimate_of(trained, problem, make_problem, Measured(dataset.sensors, data, Noise(std)))


def test_images_of_a_chest_are_estimates_of_any_field_of_it(disc):
    problem, dataset = disc
    trained = fitted(LinearImage, disc)
    other = make_problem("eit", {**DISC, "unknown": FIELD})
    found = asked(trained, other, dataset, dataset.values[0])
    assert found.of == "m"
    assert found.mean.shape == (100,)
    places = other.prior().space.variables[0].places
    truth = problem.unknown.conductivity.at(places)(problem.prior().unwhiten(dataset.xi[0]))
    inside = other.mask(places)
    assert np.abs(found.mean - truth)[inside].mean() < 0.5 * np.abs(truth - 1)[inside].max()


def test_numbers_of_ellipses_are_no_field_to_put_an_image_into(disc):
    problem, dataset = disc
    with pytest.raises(CapabilityError, match=r"is no field of values at places; set problem\.unk"):
        asked(fitted(AverageImage, disc), problem, dataset, dataset.values[0])


def test_what_an_inverse_says_of_data_asks_for_no_field(disc):
    problem, dataset = disc
    trained, field = fitted(LinearImage, disc), make_problem("eit", {**DISC, "unknown": FIELD})
    noise = Noise(np.asarray(trained.metadata["noise_std"]))
    measured = Measured(dataset.sensors, dataset.values[0], noise)
    told = told_of_data(trained, problem, make_problem, measured)
    assert told.of == "grid"
    assert told.likeness == estimate_of(trained, field, make_problem, measured).likeness


@pytest.mark.parametrize("factor", [0.01, 1.0, 1000.0])
def test_the_noise_of_data_is_compared_with_that_of_the_training(factor, disc):
    problem, dataset = disc
    trained = fitted(LinearImage, disc)
    std = np.asarray(trained.metadata["noise_std"])
    some = np.arange(0, len(std), 3)
    sensors = {c: np.asarray(v)[some] for c, v in dataset.sensors.items()}
    bound = trained.bind(problem, problem.prior(), sensors)
    noise = bound(dataset.values[:1][:, some], factor * std[some]).noise
    assert noise.ratio == pytest.approx(factor)
    assert noise.std == pytest.approx(factor * np.median(std[some]))
    assert noise.served == (0.2, 5.0)
    assert noise.far == (factor != 1)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"map": "dirichlet-to-neumann"}, "with map = 'neumann-to-dirichlet'"),
        ({"reference": 1.1}, r"with reference = 1\.0"),
        ({"modes": 5}, "with modes = 4"),
    ],
)
def test_another_protocol_or_body_is_refused(change, text, disc):
    _, dataset = disc
    other = make_problem("eit", {**DISC, "unknown": FIELD, **change})
    with pytest.raises(SurrogateRejected, match=text):
        asked(fitted(AverageImage, disc), other, dataset, dataset.values[0])


def test_another_problem_is_refused(disc, darcy):
    _, dataset = disc
    with pytest.raises(SurrogateRejected, match="trained for problem 'eit', this run is 'darcy'"):
        fitted(AverageImage, disc).bind(darcy[0], darcy[0].prior(), dataset.sensors)


def test_sensors_that_it_was_not_trained_at_are_refused(darcy):
    problem, _ = darcy
    with pytest.raises(
        SurrogateRejected, match=r"are not among the 25.*or use an engine of the model alone"
    ):
        fitted(AverageImage, darcy).bind(problem, problem.prior(), problem.sensors("grid:4x4"))


# --- refusals of trainings ---------------------------------------------------------------------


def test_data_without_images_are_refused(darcy):
    problem, dataset = darcy
    with pytest.raises(DataSchemaError, match="generate it with --grid"):
        LinearImage.fit(replace(dataset, coefficient=None), problem, LinearImage.Config(), 1)


def test_too_few_samples_are_refused(darcy):
    problem, dataset = darcy
    with pytest.raises(DataSchemaError, match="needs at least 20 solved samples, got 12"):
        LinearImage.fit(dataset.rows(np.arange(12)), problem, LinearImage.Config(), 1)


def test_operators_want_images_of_the_plane(darcy):
    problem, dataset = darcy
    line = replace(dataset, coefficient=dataset.coefficient.reshape(-1, 9, 9, 1),
                   axes={**dataset.axes, "z": np.zeros(1)})  # fmt: skip
    with pytest.raises(ConfigError, match="needs images of the plane"):
        LinFno.fit(line, problem, LinFno.Config(), 1)


def test_a_range_of_noise_rises():
    with pytest.raises(ValueError, match="two rising positive numbers"):
        LinearImage.Config(noise_range=(2.0, 1.0))


# --- neural inverse operators ------------------------------------------------------------------


def chest_operator(disc, **options):
    small = {"epochs": 6, "widths": (24,), "basis": 8, "fields": 3, "width": 6, "modes": 4}
    return fitted(Nio, disc, **{**small, "learning_rate": 5e-3, **options})


@pytest.fixture(scope="module")
def operator(disc):
    return chest_operator(disc)


@pytest.mark.parametrize("form", ["mended", "paper"])
def test_an_operator_of_experiments_learns_and_is_stored(form, disc, tmp_path):
    trained = chest_operator(disc, form=form)
    _, dataset = disc
    std = np.asarray(trained.metadata["noise_std"])
    found = bound_to(trained, disc)(dataset.values[:4], std)
    assert np.isfinite(found.mean).all()
    assert np.ptp(found.mean, axis=0).max() > 0
    trained.save(tmp_path / "s")
    again = bound_to(Nio.load(tmp_path / "s"), disc)(dataset.values[:4], std)
    assert np.array_equal(found.mean, again.mean)


def test_members_differ_and_their_mean_is_the_image(disc, tmp_path):
    trained = chest_operator(disc, members=2)
    dataset = disc[1]
    seen = Seen(dataset.values[:4], np.zeros(4))
    whole, one = trained.rule(seen), [
        replace(trained.rule, weights=(w,), errors=trained.rule.errors[k : k + 1])(seen)
        for k, w in enumerate(trained.rule.weights)
    ]  # fmt: skip
    assert whole.mean == pytest.approx(0.5 * (one[0].mean + one[1].mean))
    between = 0.25 * (one[0].mean - one[1].mean) ** 2
    square = 0.5 * (one[0].std ** 2 + one[1].std ** 2) + between
    assert whole.std == pytest.approx(np.sqrt(square))
    assert between.max() > 0
    assert trained.metadata["errors"]["coverage_90"] == pytest.approx(0.9, abs=0.08)
    assert len(trained.metadata["extra"]["epochs"]) == 2
    trained.save(tmp_path / "s")
    std = np.asarray(trained.metadata["noise_std"])
    both = (trained, Nio.load(tmp_path / "s"))
    first, second = (bound_to(t, disc)(dataset.values[:4], std) for t in both)
    assert np.array_equal(first.std, second.std)


def test_the_published_lift_stays_as_it_began(disc):
    one, two = (chest_operator(disc, form="paper", epochs=n).rule.weights[0] for n in (1, 3))
    same = {k for k in one if np.array_equal(one[k], two[k])}
    assert same == {k for k in one if "lifting" in k}


def test_experiments_may_be_missing_but_no_part_of_one(disc, operator):
    _, dataset = disc
    injection, std = np.asarray(dataset.sensors["injection"]), operator.metadata["noise_std"]
    some = np.flatnonzero(injection < 5)
    data, std = dataset.values[:3], np.asarray(std)
    few = bound_to(operator, disc, some)(data[:, some], std[some])
    assert np.isfinite(few.mean).all()
    part = np.flatnonzero(np.asarray(dataset.sensors["measurement"]) < 5)
    with pytest.raises(SurrogateRejected, match="none of these has all of its data"):
        bound_to(operator, disc, part)(data[:, part], std[part])


def test_an_experiment_that_lacks_one_datum_is_named(disc, operator):
    injection = np.asarray(disc[1].sensors["injection"])
    third = np.flatnonzero(injection == 3)
    each = len(third)
    whole = np.delete(np.arange(len(injection)), third)
    assert bound_to(operator, disc, whole).chosen.size == len(whole)
    said = rf"of injection = 3 there are {each - 1} of {each} data; leave all data of such an"
    with pytest.raises(SurrogateRejected, match=said):
        bound_to(operator, disc, np.delete(np.arange(len(injection)), third[0]))
    few = np.delete(np.arange(len(injection)), [*third[:2], np.flatnonzero(injection == 5)[0]])
    with pytest.raises(SurrogateRejected, match=r"\(and 1 more lack some\)"):
        bound_to(operator, disc, few)


def electrodes(count):
    """Adjacent currents: each experiment leaves out the electrodes that carry its own."""
    found = [(i, j) for i in range(count) for j in range(count) if (j - i) % count not in (0, 1)]
    injection, measurement = np.array(found, dtype=float).T
    return {"injection": injection, "measurement": measurement}


def test_experiments_that_measure_at_other_places_have_holes_in_their_table():
    sensors = electrodes(6)
    turned = np.random.default_rng(0).permutation(24)
    found = Experiments.of({k: v[turned] for k, v in sensors.items()}, ("x", "y"), None)
    assert found.order.shape == (6, 6)
    assert (found.sizes == 4).all()
    table = found.table(1.0 + np.arange(24)[None])[0]
    for i, row in enumerate(found.order):
        assert [j for j in range(6) if row[j] < 0] == sorted([i, (i + 1) % 6])
        there = row[row >= 0]
        assert (sensors["injection"][turned][there] == i).all()
        assert table[i][row >= 0] == pytest.approx(1.0 + there)
        assert (table[i][row < 0] == 0).all()
    data = np.random.default_rng(1).standard_normal((2, 24))
    reader = Reader(found, Standard(np.zeros(24), np.ones(24)))
    assert (reader(Seen(data, np.zeros(2)))[:, 1:7] == 1).all()
    data[:, found.order[2].max()] = np.nan
    assert reader(Seen(data, np.zeros(2)))[0, 1:7].tolist() == [1, 1, 0, 1, 1, 1]


@pytest.mark.parametrize("case", ["scattered", "repeated"])
def test_experiments_that_one_network_cannot_read_are_refused(case):
    rng = np.random.default_rng(0)
    places = {"x": rng.random(24), "y": rng.random(24)}
    if case == "repeated":
        places = {"x": np.repeat(np.arange(6.0), 4) % 3, "y": np.zeros(24)}
    sensors = {**places, "source": np.arange(24) % 4}
    with pytest.raises(ConfigError, match=r"experiments by 'source' .*; use 'lin-fno'"):
        Experiments.of(sensors, ("x", "y"), None)


def test_an_operator_reads_electrodes_that_carry_no_measured_current(tmp_path):
    case = made("eit", {"cells": 6}, "all", 40, tmp_path, grid=(9, 9))
    injections = np.asarray(case[1].sensors["injection"])
    count, each = len(np.unique(injections)), np.sum(injections == 0)
    found = fitted(Nio, case, epochs=1, fields=2, basis=8, widths=(8,), modes=3, width=4)
    assert found.metadata["extra"]["experiments"] == count
    some = np.flatnonzero(injections != 3)
    data, std = case[1].values[:2], np.asarray(found.metadata["noise_std"])
    assert np.isfinite(bound_to(found, case, some)(data[:, some], std[some]).mean).all()
    last = np.flatnonzero(injections == 3)[-1]
    with pytest.raises(SurrogateRejected, match=rf"there are {each - 1} of {each} data"):
        bound_to(found, case, np.delete(np.arange(len(injections)), last))


def test_data_without_experiments_are_refused(darcy):
    with pytest.raises(ConfigError, match="expected a coordinate that numbers experiments"):
        fitted(Nio, darcy)


@pytest.mark.parametrize(
    ("options", "least", "most"),
    [
        ({"bagging": 0.0}, 12, 12),
        ({"bagging": 1.0}, 6, 12),
        ({"form": "paper"}, 1, 11),
    ],
)
def test_experiments_are_shown_as_the_form_says(options, least, most):
    table = Experiments(np.arange(24).reshape(12, 2), np.linspace(-1, 1, 12))
    reader = Reader(table, Standard(np.zeros(24), np.ones(24)))
    data = np.random.default_rng(0).standard_normal((200, 24))
    inputs = reader(Seen(data, np.zeros(200)))
    found = reader.bagged(inputs, Nio.Config(**options), 3)
    shown = (found[:, 1:13] > 0).sum(axis=1)
    assert least <= shown.min() <= shown.max() <= most
    assert np.array_equal(found[:, 13:], inputs[:, 13:])
    assert np.array_equal(found, reader.bagged(inputs, Nio.Config(**options), 3))
    repeated = found[:, 1:13].max() > 1
    assert repeated == (options.get("form") == "paper")


def test_an_inverse_of_images_keeps_the_protocol(darcy):
    """Of a surrogate of role inverse, on data whose coefficient is known on a grid."""
    problem, dataset = darcy
    report = check_surrogate("linear-image", {}, problem=problem, dataset=dataset)
    report.raise_for_failures()
