"""Data sets: the same bits for any workers and interruption; failures recorded, never dropped."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.posterior import xi_space
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.errors import ConfigError, DataSchemaError, Preempted, RunFailed
from pdeinv.io import datasets, netcdf
from pdeinv.jobs.generate import shards
from pdeinv.jobs.generate.plan import Around, Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.model.spaces import Space, Variable

PLUGIN = '''
"""A problem of a third party: -(k u')' = 1 on (0, 1), u = 0 at the ends, ln k = a + b x."""
import os
import time

import numpy as np
from scipy.linalg import solveh_banded

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.config import Config
from pdeinv.errors import SolverDiverged
from pdeinv.model.forward import Linearization
from pdeinv.model.observed import Observed
from pdeinv.model.rows import linearize_each, rows_each
from pdeinv.model.spaces import Space, Variable
from pdeinv.plugins.problem import Card


class RodConfig(Config):
    fail_above: float = 1e9
    die_above: float = 1e9
    nan_above: float = 1e9
    pause: float = 0.0
    log: str = ""
    offers: str = ""


class Rod:
    name = "rod"
    Config = RodConfig
    card = Card("rod", "-(k u')' = 1", "ln k = a + b x", "u", "u = 0", "1", "none")
    observed = Observed("u", "1", "displacement", {"x": "1"})

    def __init__(self, config=None):
        self.config = config or RodConfig()

    def prior(self):
        space = Space((Variable("ab", ("term",), (2,)),))
        return FieldPrior(space, IndependentField(np.zeros(2), np.ones(2)), Identity())

    def grid(self, shape):
        return {"x": np.linspace(0, 1, shape[0])}

    def grid_operator(self, shape):
        x = np.linspace(0, 1, shape[0])
        return np.stack([np.ones_like(x), x], axis=1)

    def dofs(self, level):
        return 31

    def forward_model(self, sensors, level=0):
        return RodModel(self.prior().space, np.asarray(sensors["x"]), self.config)


class RodModel:
    kind = "reference"

    def __init__(self, space, x, config):
        self.capabilities = frozenset(config.offers.split())
        self.m_space, self.x, self.config = space, x, config
        self.d_space = Space((Variable("u", ("obs",), (len(x),)),))

    def __call__(self, m):
        time.sleep(self.config.pause)
        if self.config.log:
            with open(self.config.log, "a") as file:
                file.write(f"{m[0]!r}\\n")
        if m[0] > self.config.die_above:
            os._exit(7)
        if m[0] > self.config.fail_above:
            raise SolverDiverged(f"too stiff: a = {m[0]:.3f}")
        n = 32
        k = np.exp(m[0] + m[1] * (np.arange(n) + 0.5) / n) * n
        u = solveh_banded(np.stack([np.r_[0, -k[1:-1]], k[:-1] + k[1:]]), np.full(n - 1, 1 / n))
        if m[0] > self.config.nan_above:
            u = np.full_like(u, np.nan)
        return np.interp(self.x, np.linspace(0, 1, n + 1), np.r_[0, u, 0])

    def linearize(self, m):
        steps = 1e-5 * np.eye(2)
        columns = np.stack([(self(m + s) - self(m - s)) / 2e-5 for s in steps], axis=1)
        return Linearization(self(m), lambda dm: columns @ dm, lambda w: columns.T @ w)

    def rows(self, ms):
        return rows_each(self, ms)

    def linearize_rows(self, ms):
        return linearize_each(self, ms)
'''


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory):
    """Install the problem as an entry point; worker processes inherit the path."""
    site = tmp_path_factory.mktemp("site")
    info = site / "rod-1.0.dist-info"
    info.mkdir()
    (site / "rod_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rod\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pdeinv.problems]\nrod = rod_plugin:Rod\n")
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    yield site
    sys.path.remove(str(site))
    sys.modules.pop("rod_plugin", None)


def plan(n=24, seed=3, config=None, grid=(9,), **more):
    places = {"x": np.array([0.25, 0.5, 0.8])}
    return Plan("rod", config or {}, places, n, seed, grid, batch_size=5, **more)


def solved(tmp_path, name="a", what=None, **more):
    out = tmp_path / f"{name}.nc"
    generate(what or plan(), out, tmp_path / f"{name}.run", **more)
    return netcdf.read_dataset(out)


@pytest.fixture(scope="module")
def whole_folder(tmp_path_factory, plugin):
    """A finished data set ``a.nc`` with its batches; do not write here."""
    folder = tmp_path_factory.mktemp("whole")
    solved(folder, "a", plan())
    return folder


@pytest.fixture
def whole(whole_folder):
    return netcdf.read_dataset(whole_folder / "a.nc")


@pytest.fixture
def copied(whole_folder, tmp_path):
    """A copy of the finished run that a test may damage or continue."""
    shutil.copytree(whole_folder / "a.run", tmp_path / "a.run")
    return tmp_path


def numbers(dataset):
    """All but the provenance, whose time of day differs."""
    return dataset.drop_attrs()


def stop_after(n_batches):
    done = []
    return {"progress": lambda *_: done.append(1), "should_stop": lambda: len(done) >= n_batches}


def test_sample_depends_on_seed_and_number_only():
    few, many = plan(n=3), plan(n=1000)
    assert np.array_equal(few.draw(2, 4), many.draw(2, 4))
    assert not np.array_equal(few.draw(2, 4), few.draw(1, 4))
    assert not np.array_equal(few.draw(2, 4), plan(seed=4).draw(2, 4))


def test_numbers_do_not_depend_on_workers(tmp_path, whole):
    two = solved(tmp_path, "two", workers=2)
    xr.testing.assert_identical(numbers(two), numbers(whole))


def test_stopped_and_resumed_equals_uninterrupted(tmp_path, whole):
    with pytest.raises(Preempted, match=r"kept in .*--resume"):
        solved(tmp_path, "part", **stop_after(2))
    assert not (tmp_path / "part.nc").exists()
    kept = sorted((tmp_path / "part.run").glob("batch*.npz"))
    assert 2 <= len(kept) < 5
    times = [p.stat().st_mtime_ns for p in kept]
    xr.testing.assert_identical(numbers(solved(tmp_path, "part", resume=True)), numbers(whole))
    assert [p.stat().st_mtime_ns for p in kept] == times


def test_killed_and_resumed_equals_uninterrupted(tmp_path, plugin):
    log = str(tmp_path / "solves.log")
    script = (
        "from pathlib import Path; import numpy as np; from pdeinv.jobs.generate.plan import Plan;"
        "from pdeinv.jobs.generate.run import generate\n"
        "if __name__ == '__main__':\n"
        f"    config = {{'pause': 0.02, 'log': {log!r}}}\n"
        "    plan = Plan('rod', config, {'x': np.array([0.25, 0.5, 0.8])}, 200, 3, batch_size=5)\n"
        f"    generate(plan, Path({str(tmp_path / 'k.nc')!r}), Path({str(tmp_path / 'k.run')!r}))\n"
    )
    (tmp_path / "run.py").write_text(script)
    path = os.pathsep.join([str(plugin), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "run.py")],
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while len(list((tmp_path / "k.run").glob("batch*.npz"))) < 3:
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "k.nc").exists()
    assert len(list((tmp_path / "k.run").glob("batch*.npz"))) < 40
    quick = {"pause": 0.02, "log": log}
    resumed = solved(tmp_path, "k", plan(n=200, config=quick, grid=None), resume=True)
    solves = (tmp_path / "solves.log").read_text().splitlines()
    assert 200 <= len(solves) <= 200 + 5, "more than one batch of 5 was lost"
    uninterrupted = solved(tmp_path, "w", plan(n=200, grid=None))
    xr.testing.assert_identical(numbers(resumed), numbers(uninterrupted))


def test_damaged_batch_is_solved_again(copied, whole):
    shard = copied / "a.run" / "batch000002.npz"
    shard.write_bytes(shard.read_bytes()[:100])
    xr.testing.assert_identical(numbers(solved(copied, resume=True)), numbers(whole))


def test_resume_may_ask_for_more_samples(tmp_path, whole):
    first = numbers(solved(tmp_path, what=plan(n=12)))
    more = numbers(solved(tmp_path, what=plan(n=24), resume=True))
    xr.testing.assert_identical(more.isel(sample=slice(12)), first)
    xr.testing.assert_identical(more, numbers(whole))


@pytest.mark.parametrize(
    "other", [{"seed": 4}, {"config": {"fail_above": 2.0}}, {"level": 1}, {"grid": (5,)}]
)
def test_batches_of_another_run_are_refused(copied, other):
    with pytest.raises(ConfigError, match=r"belong to another configuration.*--overwrite"):
        solved(copied, what=plan(**other), resume=True)


def test_batches_in_another_basis_are_refused(copied, monkeypatch):
    monkeypatch.setattr("pdeinv.jobs.generate.plan.BASIS", "another rule")
    with pytest.raises(ConfigError, match="belong to another configuration"):
        solved(copied, resume=True)


@pytest.mark.usefixtures("solves_here_once")
@pytest.mark.parametrize("limit", [("BLOCK_SAMPLES", 1), ("BLOCK_SAMPLES", 12), ("BLOCK_BYTES", 1)])
def test_how_many_batches_are_written_at_once_changes_nothing(copied, whole, monkeypatch, limit):
    monkeypatch.setattr(f"pdeinv.jobs.generate.shards.{limit[0]}", limit[1])
    xr.testing.assert_identical(numbers(solved(copied, resume=True)), numbers(whole))


def test_batches_written_at_once_are_bounded_in_samples_and_bytes(copied, monkeypatch):
    found = [shards.Shard(k, 5, 0, "") for k in range(4)]
    folder = copied / "a.run"
    alone = [s.nbytes for s in (shards.load(folder, k, 5) for k in range(4))]
    assert [len(s.xi) for s in shards.blocks(folder, found)] == [20]
    monkeypatch.setattr(shards, "BLOCK_SAMPLES", 10)
    blocks = list(shards.blocks(folder, found))
    assert [len(s.xi) for s in blocks] == [10, 10]
    assert [s.nbytes for s in blocks] == [sum(alone[:2]), sum(alone[2:])]
    monkeypatch.setattr(shards, "BLOCK_BYTES", alone[0])
    assert [len(s.xi) for s in shards.blocks(folder, found)] == [5] * 4


@pytest.mark.usefixtures("solves_here_once")
def test_without_resume_old_batches_are_not_used(copied, whole):
    other = solved(copied, what=plan(seed=4))
    assert not np.isin(other["xi"], whole["xi"]).any()
    np.testing.assert_array_equal(other["xi"][7], plan(seed=4).draw(7, 2))


@pytest.mark.usefixtures("solves_here_once")
@pytest.mark.parametrize(
    ("config", "reason"),
    [({"fail_above": 0.5}, "too stiff: a = "), ({"nan_above": 0.5}, "not finite")],
)
def test_failed_solves_are_recorded_with_their_reason(tmp_path, config, reason):
    told = []
    data = solved(tmp_path, what=plan(config=config), progress=lambda *n: told.append(n))
    failed = data["ab"].values[:, 0] > 0.5
    assert 0 < failed.sum() < 24
    np.testing.assert_array_equal(data["status"], failed.astype(int))
    assert np.isnan(data["u"].values).all(axis=1).tolist() == failed.tolist()
    assert all(reason in str(text) for text in data["failure"].values[failed])
    assert set(data["failure"].values[~failed]) == {""}
    assert data.sizes["sample"] == 24
    assert told[-1] == (24, 24, failed.sum())
    learned = datasets.read(tmp_path / "a.nc")
    assert learned.n_failed == failed.sum()
    np.testing.assert_array_equal(learned.xi, data["xi"].values[~failed])
    assert np.isfinite(learned.field).all()


@pytest.mark.usefixtures("solves_here_once")
def test_one_per_cent_of_failures_does_not_stop_a_run(tmp_path):
    config = {"fail_above": 2.2}
    data = solved(tmp_path, what=plan(n=1000, config=config, grid=None))
    failed = data["ab"].values[:, 0] > 2.2
    assert 0.003 < failed.mean() < 0.03
    np.testing.assert_array_equal(data["status"], failed.astype(int))
    assert data.attrs["pdeinv_failed"] == failed.sum()
    assert datasets.read(tmp_path / "a.nc").n_failed == failed.sum()


@pytest.mark.usefixtures("solves_here_once")
def test_all_solves_failing_is_an_error_with_the_first_reason(tmp_path):
    with pytest.raises(RunFailed, match=r"all 24 solves failed.*too stiff"):
        solved(tmp_path, what=plan(config={"fail_above": -50.0}))
    assert not (tmp_path / "a.nc").exists()


def test_dead_worker_is_one_line_and_keeps_batches(tmp_path):
    with pytest.raises(RunFailed, match=r"worker process died.*--resume"):
        solved(tmp_path, what=plan(n=200, config={"die_above": 2.0}))
    assert list((tmp_path / "a.run").glob("batch*.npz"))


def test_file_opens_in_plain_xarray_and_says_where_it_is_from(whole_folder):
    with xr.open_dataset(whole_folder / "a.nc") as data:
        assert data["xi"].dims == ("sample", "xi_dim")
        assert data["u"].dims == ("sample", "obs")
        assert data["coefficient"].dims == data["u_grid"].dims == ("sample", "grid_x")
        np.testing.assert_array_equal(data["x"], [0.25, 0.5, 0.8])
        np.testing.assert_allclose(data["grid_x"], np.linspace(0, 1, 9))
        assert all(v.attrs["long_name"] for v in data.variables.values())
        assert {"history", "pdeinv_seed", "pdeinv_config", "pdeinv_problem"} <= set(data.attrs)
        a, b = data["ab"].values.T
        line = a[:, None] + b[:, None] * np.linspace(0, 1, 9)
        np.testing.assert_allclose(data["coefficient"], line, rtol=1e-14)


def test_grid_values_agree_with_data_at_the_same_place(whole):
    np.testing.assert_array_equal(whole["u_grid"].values[:, [2, 4]], whole["u"].values[:, :2])


PAIR = FieldPrior(
    Space((Variable("ab", ("term",), (2,)),)), IndependentField(np.zeros(2), np.ones(2)), Identity()
)


def result_file(path, draws):
    space = xi_space(draws.shape[-1])
    group = space.unpack(draws[None], ("chain", "draw"))
    netcdf.write(path, xr.DataTree.from_dict({"unconstrained_posterior": group}))
    return path


def test_draws_around_a_result_have_its_moments_inflated(tmp_path):
    root = np.array([[0.3, 0.0], [0.2, 0.1]])
    draws = [1.0, -2.0] + np.random.default_rng(0).standard_normal((4000, 2)) @ root.T
    design = Around.from_result(result_file(tmp_path / "r.nc", draws), PAIR, 2.0)
    around = plan(n=4000, design=design)
    xi = np.stack([around.draw(i, 2) for i in range(4000)])
    spread = 2 * np.sqrt(np.diag(root @ root.T))
    assert (np.abs(xi.mean(axis=0) - [1.0, -2.0]) < 5 * spread / np.sqrt(4000)).all()
    np.testing.assert_allclose(np.cov(xi.T), 4 * root @ root.T, rtol=0.15)
    prior = np.stack([plan().draw(i, 2) for i in range(4000)])
    assert np.abs(prior.mean(axis=0) - [1.0, -2.0]).min() > 0.5


def test_result_that_does_not_fit_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    wide = Around.from_result(result_file(tmp_path / "r.nc", rng.standard_normal((50, 3))), PAIR)
    with pytest.raises(ConfigError, match=r"3 unknowns, the problem has 2"):
        solved(tmp_path, what=plan(design=wide))
    with pytest.raises(DataSchemaError, match="at least 10 draws"):
        Around.from_result(result_file(tmp_path / "m.nc", rng.standard_normal((1, 3))), PAIR)
    with pytest.raises(ConfigError, match="inflation must be positive"):
        Around.from_result(tmp_path / "r.nc", PAIR, 0.0)
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "n.nc")
    with pytest.raises(DataSchemaError, match="no whitened draws"):
        Around.from_result(tmp_path / "n.nc", PAIR)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.assign_attrs(pdeinv_kind="truth"), r"pdeinv generate.*kind 'truth'"),
        (lambda d: d.drop_attrs(), "pdeinv did not write"),
        (lambda d: d.drop_vars("xi"), "'xi' is missing"),
        (lambda d: d.drop_vars("u"), "expected one variable on"),
        (lambda d: d.assign(status=d["status"] * 0 + 1), "24 solves failed; nothing to learn"),
        (lambda d: d.assign(u=d["u"] * np.nan), "not finite in a sample of status 0"),
    ],
)
def test_data_set_that_is_none_is_refused(tmp_path, whole, change, text):
    netcdf.write(tmp_path / "b.nc", change(whole))
    with pytest.raises(DataSchemaError, match=text):
        datasets.read(tmp_path / "b.nc")


@pytest.mark.parametrize(
    ("offers", "jacobian"), [("jvp", 0), ("jvp", 2), ("vjp", 2), ("jvp vjp", 1)]
)
@pytest.mark.usefixtures("solves_here_once")
def test_samples_solved_in_rows_are_those_solved_one_by_one(offers, jacobian, tmp_path):
    """Values, actions and failures, bit for bit, whatever the batches."""
    limits = {"fail_above": 0.8, "nan_above": 0.5}

    def of(offers, name, **more):
        what = plan(config={**limits, "offers": offers}, jacobian=jacobian)
        return solved(tmp_path, name, replace(what, **more))

    single, rows = of(offers, "single"), of(f"{offers} rows", "rows")
    other = of(f"{offers} rows", "other", batch_size=7)
    assert {0, 1} == set(single["status"].values.tolist())
    assert len(set(single["failure"].values.tolist())) > 2
    for found in (rows, other):
        failed = [np.array(d["failure"].values) != "" for d in (found, single)]
        assert np.array_equal(*failed)
        for name in set(single.variables) - {"failure"}:
            np.testing.assert_array_equal(found[name].values, single[name].values, name)
