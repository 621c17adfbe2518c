"""Designs: normal margins, better coverage than independent draws, nothing moves on resume."""

import numpy as np
import pytest
from scipy.stats import kstest, norm, qmc

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.jobs.generate.plan import Around, Plan, white_draws
from pdeinv.provenance import Source

PLACES = {"x": np.array([0.1, 0.7])}


def plan(n=64, seed=3, **more):
    return Plan("darcy", {}, PLACES, n, seed, **more)


@pytest.mark.parametrize("sampling", ["prior", "lhs", "sobol"])
def test_margins_are_standard_normal_and_seeds_differ(sampling):
    z = white_draws(sampling, 5, 512, range(512), 3)
    assert np.isfinite(z).all()
    assert min(kstest(z[:, j], "norm").pvalue for j in range(3)) > 1e-3
    assert not np.array_equal(z, white_draws(sampling, 6, 512, range(512), 3))


def test_hypercube_has_one_point_in_each_stratum():
    u = norm.cdf(white_draws("lhs", 1, 50, range(50), 4))
    for column in u.T:
        assert sorted(np.floor(50 * column).astype(int)) == list(range(50))
    independent = norm.cdf(white_draws("prior", 1, 50, range(50), 4))
    assert any(len(set(np.floor(50 * c).astype(int))) < 50 for c in independent.T)


def test_sobol_is_the_scrambled_sequence_and_fills_space_more_evenly():
    u = norm.cdf(white_draws("sobol", 1, 128, range(128), 3))
    assert qmc.discrepancy(u) < 0.2 * qmc.discrepancy(
        norm.cdf(white_draws("prior", 1, 128, range(128), 3))
    )
    # a (t, m, s)-net: every dyadic interval holds its share
    for column in u.T:
        assert (np.bincount(np.floor(16 * column).astype(int)) == 8).all()


@pytest.mark.parametrize("sampling", ["prior", "sobol"])
def test_a_sample_does_not_move_when_n_grows_or_batches_come_in_another_order(sampling):
    few, many = plan(n=10, sampling=sampling), plan(n=1000, sampling=sampling)
    rows = [7, 2, 9, 2, 0]
    by_one = np.stack([many.draw(i, 5) for i in rows])
    np.testing.assert_array_equal(few.draws(rows, 5), by_one)
    assert few.mark() == many.mark()


def test_a_hypercube_cannot_grow():
    few, many = plan(n=10, sampling="lhs"), plan(n=20, sampling="lhs")
    assert few.mark() != many.mark()
    np.testing.assert_array_equal(few.draws([3, 8], 2)[1], few.draw(8, 2))


def test_too_many_dimensions_for_sobol_is_one_line():
    with pytest.raises(ConfigError, match="21201 dimensions, the problem has 30000"):
        white_draws("sobol", 1, 4, [0], 30_000)


def test_designs_around_a_result_are_space_filling_there():
    around = Around(np.array([1.0, -2.0]), np.diag([0.5, 0.1]), 2.0, Source("r.nc", "0"))
    xi = plan(n=40, sampling="lhs", design=around).draws(range(40), 2)
    u = norm.cdf((xi - around.mean) / (2 * np.array([0.5, 0.1])))
    for column in u.T:
        assert sorted(np.floor(40 * column).astype(int)) == list(range(40))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"grid": (5, 6), "times": (0.1, 0.30000000000000004), "jacobian": 3, "level": 1},
        {"design": Around(np.array([1 / 3, 2.0]), np.eye(2) / 7, 1.5, Source("r.nc", "ab"))},
        {"sampling": "lhs"},
    ],
)
def test_a_plan_survives_its_file_bit_for_bit(tmp_path, more):
    what = plan(**more)
    what.save(tmp_path / "plan.npz")
    again = Plan.load(tmp_path / "plan.npz")
    assert again.key() == what.key()
    assert again.table() == what.table()
    np.testing.assert_array_equal(again.draws(range(5), 2), what.draws(range(5), 2))


def test_a_damaged_plan_is_one_line(tmp_path):
    file = tmp_path / "plan.npz"
    with pytest.raises(DataSchemaError, match=r"cannot read .*plan\.npz: no such file"):
        Plan.load(file)
    plan().save(file)
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(DataSchemaError, match=r"plan\.npz cannot be read"):
        Plan.load(file)
