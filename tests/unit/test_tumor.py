"""The tumor problem's configuration, tissue, sensors, data and remarks."""

import numpy as np
import pytest

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.noise import Noise
from pdeinv.callers import naming_flags
from pdeinv.config import parse
from pdeinv.errors import ConfigError, DataSchemaError, SolverDiverged
from pdeinv.io.observations import Observations
from pdeinv.problems.tumor import Tumor, TumorConfig
from pdeinv.problems.tumor.config import SeedConfig
from pdeinv.problems.tumor.lattice import Lattice
from pdeinv.problems.tumor.seed import Seed
from pdeinv.problems.tumor.tissue import Phantom

BRAIN = Phantom((82.0, 66.0, 60.0), 9.0, 2.5)


def made(**table):
    return Tumor(parse(TumorConfig, {"cells": 24, "time": {"steps": 4}, **table}, "problem"))


REFUSED = {
    "two lengths": ({"cells": [24]}, "cells: expected 2 numbers, as many as lengths"),
    "too few cells": ({"cells": 1}, "must be at least 2"),
    "metres": (
        {"lengths": [0.192, 0.192]},
        "lengths are in mm: .*smaller than the seed, .* is 4 mm",
    ),
    "a rod with a brain": ({"lengths": [60.0]}, "use kind 'homogeneous'"),
    "no such solver": ({"solver": "spectral"}, "solver"),
    "seed box": ({"unknown": {"low": [10.0]}}, "expected 2 numbers each"),
    "seed box inside out": ({"unknown": {"low": [150.0, 50.0]}}, "unknown.low must be less than"),
    "seed box outside": ({"unknown": {"high": [150.0, 250.0]}}, "both in the box"),
    "window for nothing": ({"time": {"window": 10.0}}, "goes with unknown.duration; leave it out"),
    "window too long": (
        {"time": {"window": 70.0}, "unknown": {"duration": [60.0, 90.0]}},
        "must be less than unknown.duration and time.final, got 70",
    ),
    "duration": ({"unknown": {"duration": [90.0, 60.0]}}, "increasing"),
    "a peak too high": ({"seed": {"peak": 1.5}}, "seed.peak"),
    "unknown key": ({"tissue": {"kind": "phantom", "ribon": 3.0}}, "ribon"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_configurations_are_refused_in_one_line(case):
    table, words = REFUSED[case]
    with pytest.raises(ConfigError, match=words) as caught:
        made(**table)
    assert "\n" not in str(caught.value)


def test_levels_that_do_not_exist_are_refused():
    with pytest.raises(ConfigError, match="24 x 24 cells cannot be coarsened by 16"):
        made().dofs(-4)
    with pytest.raises(ConfigError, match="5 steps cannot be divided by 2"):
        made(time={"steps": 5}).discretisation(-1)
    with pytest.raises(ConfigError, match="no voxel is tissue to at least"):
        made(lengths=[2000.0, 2000.0], cells=4).dofs(0)


def volumes(phantom, h=3.0):
    """White and grey matter in cm³."""
    axes = [np.arange(-s, s + h, h) for s in (90.0, 75.0, 69.0)]
    points = np.stack([c.ravel() for c in np.meshgrid(*axes, indexing="ij")], axis=1)
    return [float(part.sum()) * h**3 / 1000 for part in phantom.fractions(points)]


def test_the_phantom_has_the_volumes_of_a_brain():
    white, grey = volumes(BRAIN)
    assert 1150 < white + grey < 1550
    assert 0.4 < grey / white < 1.2


def test_fractions_are_parts_of_a_whole_and_left_mirrors_right():
    points = np.random.default_rng(0).uniform(-90, 90, (4000, 3))
    white, grey = BRAIN.fractions(points)
    assert min(white.min(), grey.min()) >= 0
    assert (white + grey).max() <= 1
    mirrored = BRAIN.fractions(points * [1, -1, 1])
    np.testing.assert_allclose(mirrored[0] + mirrored[1], white + grey, atol=1e-12)
    # corpus callosum, ventricles, falx, skull
    at = np.array([[0.0, 0, 0], [0, 10.0, 0], [0, -10.0, 0], [50.0, 0, 0], [0, 80.0, 0]])
    np.testing.assert_array_equal(np.round(sum(BRAIN.fractions(at))), [1, 0, 0, 0, 0])


def test_patients_differ_and_are_the_same_each_time():
    one, other = (volumes(BRAIN.varied(k), 6.0) for k in (1, 2))
    assert one != other
    assert volumes(BRAIN.varied(1), 6.0) == one
    assert made(tissue={"kind": "phantom", "patient": 1}).dofs(0) != made().dofs(0)


def test_patients_of_another_law_are_brains_that_are_no_ellipsoids():
    for k in (1, 2):
        white, grey = volumes(BRAIN.egg(k), 6.0)
        assert 1000 < white + grey < 2000
        assert 0.3 < grey / white < 1.2
    egg = BRAIN.egg(1)
    assert volumes(egg, 6.0) == volumes(BRAIN.egg(1), 6.0) != volumes(BRAIN.varied(1), 6.0)
    # a corner that lies outside of the ellipsoid with the same axes, and the same one in front
    corner = 0.64 * np.array([egg.semi_axes]) * [[-1, 1, 1], [1, 1, 1]]
    back, front = np.sum(egg.fractions(corner), axis=0)
    ellipsoid = Phantom(egg.semi_axes, egg.ribbon, egg.folds)
    assert np.sum(ellipsoid.fractions(corner), axis=0).max() < 0.1
    assert min(back, front) < 0.1
    assert max(back, front) > 0.9
    egg_patient = {"kind": "phantom", "patient": 1, "law": "egg"}
    assert made(tissue=egg_patient).dofs(0) != made(
        tissue={**egg_patient, "law": "ellipsoid"}
    ).dofs(0)


def test_the_seed_is_averaged_over_voxels_and_smooth_in_its_place():
    """However coarse the grid, the mass of the bump is on it; here the bump is within a voxel."""
    for h in (0.5, 2.0, 8.0):
        axes = tuple(np.arange(h / 2, 64, h) for _ in range(2))
        lattice = Lattice(axes, np.ones((len(axes[1]), len(axes[0])), dtype=bool))
        seed = Seed(lattice, SeedConfig(peak=0.5, width=1.5))
        c = seed(np.array([[30.2], [27.7]]))
        assert c.sum() * h**2 == pytest.approx(0.5 * 2 * np.pi * 1.5**2, rel=1e-12)
        assert 0 <= c.min() < c.max() <= 0.5


def lattice():
    active = np.ones((6, 8), dtype=bool)
    active[2:, 5:] = False
    return Lattice((np.arange(8) + 0.5, np.arange(6) + 0.5), active)


def test_places_read_averages_of_tissue_only():
    grid = lattice()
    places = np.array([[2.5, 3.5], [4.9, 2.6], [6.5, 5.5]])
    at = grid.values_at(places)
    np.testing.assert_allclose(at.sum(axis=1), 1.0)
    x, y = grid.points.T
    np.testing.assert_allclose((at @ x)[0], 2.5)
    # the next column has no tissue there, and the last place none around it
    np.testing.assert_allclose((at @ x)[1:], 4.5)
    assert (at @ y)[2] == 5.5


def test_voxels_read_the_average_of_their_part_of_the_tissue():
    grid = lattice()
    x, _ = grid.points.T
    at = grid.averages(np.array([[2.0, 2.0], [5.0, 4.0], [0.5, 0.5]]), 2.0)
    np.testing.assert_allclose(at.sum(axis=1), 1.0)
    np.testing.assert_allclose(at @ x, [2.0, 4.5, 5 / 6], rtol=1e-12)
    ones = grid.averages(np.array([[3.5, 3.5]]), 1.0)
    np.testing.assert_allclose(ones @ x, [3.5])


def test_sensors_are_those_of_the_last_scan_where_no_time_is_given():
    problem = made()
    found = problem.sensors("grid:9")
    assert set(found["t"]) == {100.0}
    assert problem.mask(np.stack([found["x"], found["y"]], axis=1)).all()
    assert len(problem.sensors("all")["x"]) == problem.dofs(0) or problem.dofs(0) > 0
    assert set(problem.sensors("grid:9@50,100")["t"]) == {50.0, 100.0}


def test_a_file_of_places_is_of_the_last_scan_unless_it_says_times(tmp_path):
    problem, file = made(), tmp_path / "probes.csv"
    file.write_text("x,y\n60,60\n120,104\n")
    assert problem.sensors(str(file))["t"].tolist() == [100.0, 100.0]
    file.write_text("x,y,t\n60,60,50\n120,104,75\n")
    assert problem.sensors(str(file))["t"].tolist() == [50.0, 75.0]
    file.write_text("x;y\n60;sixty\n")
    with pytest.raises(ConfigError, match="expected rows of finite numbers x,y"):
        problem.sensors(str(file))


def test_sensors_without_tissue_or_outside_the_run_are_refused():
    problem = made()
    with pytest.raises(
        ConfigError, match=r"sensor 0 at \(x, y\) = \(5, 5\) lies where there is no"
    ):
        problem.sensors("list:5,5")
    with pytest.raises(ConfigError, match="outside the domain"):
        problem.sensors("list:5,500")
    with pytest.raises(ConfigError, match=r"outside the run \[0, 100\]"):
        problem.sensors("list:60,60@120")
    sensors = {"x": np.array([5.0]), "y": np.array([5.0]), "t": np.array([100.0])}
    with pytest.raises(DataSchemaError, match="no tissue; remove it"):
        problem.forward_model(sensors)
    unclocked = made(time={"steps": 4, "window": 20.0}, unknown={"duration": [60.0, 150.0]})
    with pytest.raises(ConfigError, match=r"before the window \[80, 100\] of scans"):
        unclocked.sensors("grid:9@50,100")


def test_times_between_levels_are_linear_between_them():
    problem, m = made(), np.array([1.0, 0.08, 120.0, 100.0])
    c = [problem.forward_model(problem.sensors(f"list:120,104@{t}"))(m)[0] for t in (50, 60, 75)]
    assert c[1] == pytest.approx(0.6 * c[0] + 0.4 * c[2], rel=1e-12)


@pytest.mark.parametrize("name", ["diffusivity", "growth_rate", "seed_x"])
def test_unknowns_that_are_out_of_range_are_refused_by_name(name):
    problem = made(solver="finite-differences")
    model = problem.forward_model(problem.sensors("grid:5"))
    m = np.array([1.0, 0.08, 120.0, 100.0])
    m[problem.prior().space.names.index(name)] = -1.0 if name != "seed_x" else np.inf
    wanted = "value 2 of m" if name == "seed_x" else f"{name} must be finite and above 0, got -1"
    with pytest.raises(SolverDiverged, match=wanted):
        model(m)


def test_rows_have_the_values_of_single_solves():
    problem = made(solver="finite-differences")
    model = problem.forward_model(problem.sensors("grid:7@50,100"))
    prior = problem.prior()
    ms = prior.unwhiten(np.random.default_rng(1).standard_normal((5, prior.dim)))
    ms[3, 0] = -1.0
    found = model.rows(ms)
    assert list(found.failures) == [3]
    for k in (0, 1, 2, 4):
        np.testing.assert_allclose(found.values[k], model(ms[k]), rtol=1e-10, atol=1e-14)


def remarks(problem, spec, values=0.5):
    sensors = problem.sensors(spec)
    n = len(sensors["t"])
    data = Observations(problem.observed, np.full(n, values), sensors, Noise(np.full(n, 0.1)))
    return problem.remarks(data)


def test_data_are_told_what_they_leave_open():
    fine = {"lengths": [24.0, 24.0], "tissue": {"kind": "homogeneous"}}
    (only,) = remarks(made(**fine), "grid:9")
    assert only.endswith("both rates hold for time.final = 100 d of growth")
    assert remarks(made(**fine), "grid:9@50,100") == ()
    (only,) = remarks(made(**fine, unknown={"duration": [60.0, 150.0]}), "grid:9")
    assert only.endswith("what tells the three apart is the prior")
    (coarse,) = remarks(made(), "grid:9@50,100")
    assert coarse.startswith("voxels of 8 mm are larger than half of sqrt(D/rho) = 2.89 mm")
    (odd,) = remarks(made(**fine), "grid:9@50,100", 80.0)
    assert odd.startswith("concentrations from 80 to 80")


def test_a_grid_for_scores_holds_the_last_concentration():
    problem, m = made(), np.array([1.0, 0.08, 120.0, 100.0])
    found = problem.on_grid(m, (9, 9)).reshape(9, 9)
    # x and y of a node in white matter
    assert found[4, 5] == problem.forward_model(problem.sensors("list:120,96"))(m)[0]
    assert found[0, 0] == 0.0
    with pytest.raises(ConfigError, match="is a list of numbers and no field on a grid"):
        problem.grid_operator((9, 9))
    places = made(unknown={"growth_factor": {"std": 0.3}})
    with pytest.raises(ConfigError, match="beside fields of factors, and no one field on a grid"):
        places.grid_operator((9, 9))


def test_memory_is_told_before_it_is_needed(monkeypatch):
    problem = made(time={"steps": 4})
    assert problem.memory_estimate(1) > problem.memory_estimate(0) > 0
    with pytest.raises(ConfigError, match="memory_mb"):
        made(time={"steps": 100, "memory_mb": 0.01}).memory_estimate(0)
    monkeypatch.setattr("pdeinv.memory.capacity", lambda: 2**20)
    with pytest.raises(ConfigError, match=r"10000001 times of \d+ conc.*raise time.stored"):
        made(time={"steps": 10**7}).solve(np.array([1.0, 0.08, 120.0, 100.0]), 0)
    with pytest.raises(ConfigError, match=r"10000001 times of"):
        made(time={"steps": 10**7}).prepare(0)


def test_a_file_with_some_of_the_times_serves_those():
    problem, m = made(time={"steps": 8, "stored": 3}), np.array([1.0, 0.08, 120.0, 100.0])
    fields = problem.solve(m, 0)
    np.testing.assert_allclose(fields["time"], [0, 37.5, 75, 100])
    sensors = problem.sensors("grid:7@75,100")
    model = problem.forward_model(sensors)
    np.testing.assert_allclose(problem.observe(fields, sensors), model(m), rtol=1e-12)
    with pytest.raises(DataSchemaError, match="it has every 3 time levels; choose other times"):
        problem.observe(fields, problem.sensors("grid:7@80"))


@pytest.mark.parametrize("place", [(2.0, 2.0), (-50.0, 60.0)])
def test_a_seed_without_tissue_is_refused(place):
    problem = made()
    with pytest.raises(SolverDiverged, match="lies outside of the tissue"):
        problem.solve(np.array([1.0, 0.05, *place]), 0)


@pytest.mark.parametrize("times", ["10:100:0", "60,60"])
def test_times_that_are_none_or_there_twice_are_refused(times):
    with pytest.raises(ConfigError, match=r"times .* not understood|there twice"):
        made().sensors(f"grid:5@{times}")


def test_what_two_keys_have_wrong_together_names_no_flag():
    given = {"problem": "tumor"}
    with pytest.raises(ConfigError, match=r"^problem: time\.window goes with"), naming_flags(given):
        parse(TumorConfig, {"time": {"window": 3.0}}, "problem")


MASK_REFUSED = {
    "threshold": ({"whole": 1.2}, "whole"),
    "order": ({"whole": [0.1, 0.7]}, "up to 0.7, must not be above that of the core, from 0.5 on"),
    "too high": ({"core": [0.5, 1.0]}, "must be below 1, got 1"),
    "share": ({"share": 1.5}, "share"),
    "score": ({"score": "hausdorff"}, "score"),
    "softness": ({"softness": 0.0}, "softness"),
    "no mm": ({"softness_mm": 0.0}, "expected a number above 0, a table"),
    "both": ({"softness": 0.1, "softness_mm": 1.3}, "softness_mm = 1.3 exclude each other"),
}


@pytest.mark.parametrize("case", MASK_REFUSED)
def test_masks_are_refused_in_one_line(case):
    table, words = MASK_REFUSED[case]
    with pytest.raises(ConfigError, match=words):
        made(masks=table)


def test_masks_by_mm_go_with_one_rate_each():
    with pytest.raises(ConfigError, match="growth_factor out"):
        made(masks={"softness_mm": 1.3}, unknown={"growth_factor": {}})


def test_a_softness_in_mm_is_taken_away_by_none():
    assert made(masks={"softness_mm": "none", "softness": 0.1}).config.masks.softness_mm is None


@pytest.mark.parametrize("solver", ["finite-differences", "finite-elements"])
def test_a_mask_by_mm_tells_how_far_inside_a_straight_front_a_place_lies(solver):
    line = {"lengths": [200.0], "cells": 800, "tissue": {"kind": "homogeneous"},
            "time": {"steps": 400}, "solver": solver}  # fmt: skip
    problem = made(**line, masks={"softness_mm": 1.3, "whole": 0.2, "core": 0.5})
    d, rho = 0.6, 0.2
    m, places = np.array([d, rho, 20.0]), problem.sensors("grid:799")
    z = problem.forward_model(places)(m)
    plain = made(**line)
    c = plain.forward_model(plain.sensors("grid:799"))(m)
    x, whole = np.asarray(places["x"])[: len(c)], z[: len(c)]
    ahead = x > 50
    contour = x[ahead][np.argmin(np.abs(c[ahead] - 0.2))]
    near = ahead & (np.abs(x - contour) < 2.0)
    np.testing.assert_allclose(1.3 * whole[near], contour - x[near], rtol=0.2, atol=0.2)
    np.testing.assert_array_equal(whole > 0, c > 0.2)


def test_masks_by_mm_keep_the_contour_and_are_bounded():
    problem = made(masks={"softness_mm": 1.3, "whole": 0.2, "core": 0.6})
    m, plain = np.array([1.0, 0.08, 120.0, 100.0]), made()
    z = problem.forward_model(problem.sensors("grid:9"))(m)
    c = plain.forward_model(plain.sensors("grid:9"))(m)
    np.testing.assert_array_equal(z > 0, np.concatenate([c > 0.2, c > 0.6]))
    assert np.abs(z).max() < 4 * np.log(1 / 0.01) * np.sqrt(m[0] / m[1]) / 1.3
    fields = problem.solve(m, level=0)
    assert float(fields["seen_diffusivity"]) == 1.0
    np.testing.assert_allclose(problem.observe(fields, problem.sensors("grid:9")), z, rtol=1e-9)
    with pytest.raises(SolverDiverged, match="above 0"):
        problem.forward_model(problem.sensors("grid:9"))(np.array([1.0, 0.0, 120.0, 100.0]))


def test_a_mask_is_seen_where_the_concentration_is_above_its_threshold():
    plain, problem = made(), made(masks={"whole": 0.2, "softness": 0.1})
    m = np.array([1.0, 0.08, 120.0, 100.0])
    assert problem.prior().space.names == (*plain.prior().space.names, "threshold_core")
    places = problem.sensors("grid:5")
    k = len(places["x"]) // 2
    np.testing.assert_array_equal(places["region"], np.repeat([1.0, 2.0], k))
    z = problem.forward_model(places)(np.append(m, 0.6))
    c = plain.forward_model(plain.sensors("grid:5"))(m)
    np.testing.assert_allclose(z, np.concatenate([c - 0.2, c - 0.6]) / 0.1, atol=1e-12)
    np.testing.assert_array_equal(
        problem.on_grid(np.append(m, 0.6), (5, 5)), plain.on_grid(m, (5, 5))
    )


def test_masks_have_a_likelihood_or_a_score_of_each_region_and_time():
    problem = made(masks={"share": 0.3})
    places = problem.sensors("grid:5@50,100")
    n = len(places["x"])
    assert problem.likelihood(places) == Bernoulli(n, "threshold", 0.3)
    score = made(masks={"score": "dice"}).likelihood(places)
    assert [score.masks.count(k) for k in range(4)] == [n // 4] * 4
    assert made().likelihood(made().sensors("grid:5")) is None
    odd = {**places, "region": np.full(n, 3.0)}
    with pytest.raises(
        DataSchemaError, match=r"sensor 0 is of region 3; expected 1 \(whole tumor\)"
    ):
        problem.forward_model(odd)


def test_a_truth_without_thresholds_has_no_masks():
    problem = made(masks={})
    fields = problem.solve(np.array([1.0, 0.08, 120.0, 100.0, 0.2, 0.6]), 0)
    places = problem.sensors("grid:5")
    model = problem.forward_model(places)
    want = model(np.array([1.0, 0.08, 120.0, 100.0, 0.2, 0.6]))
    np.testing.assert_allclose(problem.observe(fields, places), want, atol=1e-12)
    with pytest.raises(DataSchemaError, match="'threshold_core' is missing; solve again"):
        problem.observe(fields.drop_vars("threshold_core"), places)


def test_averages_over_voxels_are_those_of_each_voxel():
    rng = np.random.default_rng(0)
    axes = (np.arange(6) + 0.5, 2 * np.arange(4) + 1.0, np.arange(5) + 0.5)
    grid = Lattice(axes, rng.random((5, 4, 6)) > 0.3)
    places = rng.uniform(1, 4, (7, 3))
    got = grid.averages(places, 1.7) @ grid.points
    for place, found in zip(places, got, strict=True):
        ends = [(np.maximum(p - h / 2, q - 0.85), np.minimum(p + h / 2, q + 0.85))
                for p, q, h in zip(grid.points.T, place, grid.spacing, strict=True)]  # fmt: skip
        weight = np.prod([np.maximum(b - a, 0) for a, b in ends], axis=0)
        np.testing.assert_allclose(found, weight @ grid.points / weight.sum(), rtol=1e-12)


def test_uptake_is_background_and_gain_times_the_concentration():
    problem, m = made(pet={}), np.array([1.0, 0.08, 120.0, 100.0, 0.2, 1.5])
    assert problem.prior().space.names[-2:] == ("pet_background", "pet_gain")
    sensors = problem.sensors("list:120,105;140,105")
    assert set(sensors["region"]) == {3}
    c = made().forward_model({k: sensors[k] for k in ("x", "y", "t")})(m[:4])
    found = problem.forward_model(sensors)(m)
    np.testing.assert_allclose(found, 0.2 + 1.5 * c)
    np.testing.assert_allclose(problem.observe(problem.solve(m, 0), sensors), found)
    known = made(pet={"background": 0.1, "gain": 1.0}).forward_model(sensors)(m[:4])
    np.testing.assert_allclose(known, 0.1 + c)


def test_masks_and_uptake_are_data_together():
    problem, m = made(masks={}, pet={}), np.array([1.0, 0.08, 120.0, 100.0, 0.2, 0.6, 0.1, 1.2])
    assert problem.observed.name == "scan"
    sensors = problem.sensors("list:120,105;140,105")
    assert sensors["region"].tolist() == [1, 1, 2, 2, 3, 3]
    found = problem.forward_model(sensors)(m)
    alone = made(masks={}).forward_model({k: v[:4] for k, v in sensors.items()})(m[:6])
    np.testing.assert_array_equal(found[:4], alone)
    np.testing.assert_allclose(found[4:], 0.1 + 1.2 * (0.2 + 0.05 * found[:2]))
    law = problem.likelihood(sensors)
    assert [type(part).__name__ for part in law.laws] == ["Bernoulli", "Noise"]


def test_data_of_no_pet_are_refused():
    problem = made(pet={})
    sensors = {**problem.sensors("list:120,105"), "region": np.array([1.0])}
    with pytest.raises(DataSchemaError, match="is of no PET"):
        problem.forward_model(sensors)
