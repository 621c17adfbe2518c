"""Each option that is a whole number refuses what no machine can hold, or is quick with it.

An option with 10⁹ or 10¹² in it is refused by ``--dry-run`` (exit code 2), but for those that only
make a run longer or are cut to what there is.
"""

import subprocess
import sys

import pytest
from ours import LEARNED, ROOT, ours

NETWORKS = [name for name in LEARNED if name not in ("average-image", "linear-image")]

LONGER = {
    "cma": {"max_iterations"},
    "eki": {"max_iterations"},
    "emcee": {"warmup"},
    "gauss-newton": {"steps", "band_iterations"},
    "hmc": {"warmup", "max_leapfrogs"},
    "laplace": {"max_iterations", "cg_iterations", "band_iterations"},
    "map": {"max_iterations", "cg_iterations", "band_iterations"},
    "pcn": {"warmup"},
    **{
        name: {"levels"}
        for name in ("dds", "diffpir", "diffusionpde", "dmps", "dps", "fundps", "pigdm")
    },
    "daps": {"levels", "flow", "moves"},
    "enkg": {"levels", "flow"},
    "red-diff": {"max_iterations"},
    "pnp-dm": {"warmup", "moves", "levels"},
    "pinn": {"adam_steps", "lbfgs_steps", "newton_steps", "newton_block", "block", "patience"},
    "two-level": {"warmup", "tuning", "subchain", "correction_every"},
    "deeponet": {"epochs", "patience", "accumulation"},
    "fno": {"epochs", "patience", "accumulation"},
    "gp": {"iterations"},
    "latent": {"epochs", "patience", "accumulation"},
    "multifidelity": {"tune_evaluations"},
    "tfno": {"epochs", "patience", "accumulation"},
    "uno": {"epochs", "patience", "accumulation"},
    **{name: {"epochs", "patience", "accumulation"} for name in NETWORKS},
}
"""Each is a number of iterations, or how long to wait for an end."""
CUT = {
    "eit": {"drive.pattern.rotation"},  # goes round
    "tumor": {"tissue.patient", "time.stored"},  # the number of a stream; every so many levels
    "d-bar": {"parts"},
    "laplace": {"memory", "rank", "oversampling"},
    "map": {"memory"},
    "pinn": {"memory"},
    "deeponet": {"batch_size", "branch_grid", "places"},
    "fno": {"batch_size", "modes", "unroll", "grid"},
    "gp": {"inducing", "groups", "tune_points"},
    "latent": {"batch_size"},
    "multifidelity": {"tune_points", "max_points"},
    "tfno": {"batch_size", "modes", "unroll", "grid"},
    "uno": {"batch_size", "modes", "unroll", "grid"},
    **{name: {"batch_size"} for name in NETWORKS},
}
"""Each takes at most what there is: samples, nodes, unknowns."""

LINEAR = ("gaussian", "dds", "dmps", "pigdm")
"""Engines that refuse data which are not linear in the unknown."""

FAST = {"darcy", "map", "gp", "latent"}
"""One or two of each kind; the options of a kind are declared and refused by the same code."""


def marked(kind, without=()):
    """The names of plug-ins, slow where they take long."""
    names = [name for name in ours(kind) if name not in without]
    return [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in names]


def tried(folder, kind, name, *words):
    """What the command says to each option of a plug-in, by its name and value."""
    helper = ROOT / "tests/helpers/whole_numbers.py"
    ended = subprocess.run(
        [sys.executable, helper, kind, name, *map(str, words), "--dry-run", "--seed", "1"],
        capture_output=True, text=True, cwd=folder, check=False, timeout=500,
    )  # fmt: skip
    lines = ended.stdout.splitlines()
    assert ended.returncode == 0, f"{ended.stderr}\nafter {lines[-1:]}"
    return [line.split("|") for line in lines]


def check(found, name):
    """All are refused, but for those that have a reason not to be."""
    free = LONGER.get(name, set()) | CUT.get(name, set())
    assert found
    for option, *kinds, value, code, said in found:
        line = f"{name}: {option} {kinds} = {value}: {code} {said}"
        assert code in ("0", "2") if option in free else code == "2", line


@pytest.mark.parametrize("verb", ["solve", "generate"])
@pytest.mark.parametrize("name", marked("problems"))
def test_sizes_of_problems(name, verb, tmp_path):
    sensors = {"eit": "all", "darcy": "grid:3x3", "helmholtz": "grid:3x3"}.get(name, "grid:3")
    more = ("--n", 1, "--sensors", sensors) if verb == "generate" else ()
    check(tried(tmp_path, "problems", name, verb, name, "--out", "new.nc", *more), name)


@pytest.mark.parametrize("name", marked("engines", ("d-bar", *LINEAR)))
def test_sizes_of_engines(name, work):
    words = ("invert", "obs.nc", "--engine", name, "--out", "new.nc")
    check(tried(work, "engines", name, *words), name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["d-bar", *LINEAR])
def test_sizes_of_engines_that_take_other_problems(name, work, call):
    words = {
        "d-bar": ("eit", "--set", "problem.model='continuum'", "--set", "problem.cells=8"),
    }.get(name, ("heat", "--set", "problem.cells=8", "--set", "problem.time.steps=8"))
    sensors = "all" if name == "d-bar" else "grid:3x3"
    solved = call("solve", *words, "--seed", 1, "--out", "t.nc")
    assert solved.exit_code == 0, solved.stderr
    observed = call("observe", "t.nc", "--sensors", sensors, "--noise-rel", 0.02, "--seed", 1,
                    "--out", "o.nc")  # fmt: skip
    assert observed.exit_code == 0, observed.stderr
    check(tried(work, "engines", name, "invert", "o.nc", "--engine", name, "--out", "n.nc"), name)


@pytest.fixture(scope="module")
def data(small, call, tmp_path_factory):
    """A data set with fields on a grid."""
    folder = tmp_path_factory.mktemp("data")
    words = ("generate", "--config", small / "small.toml", "--sensors", "grid:3x3", "--n", 12)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = call(*words, "--grid", "9x9", "--seed", 1, "--out", folder / "data.nc")
    assert made.exit_code == 0, made.stderr
    return folder / "data.nc"


@pytest.mark.parametrize("name", marked("surrogates"))
def test_sizes_of_surrogates(name, data, tmp_path):
    words = ("train-surrogate", name, "--data", data, "--out", "new")
    check(tried(tmp_path, "surrogates", name, *words), name)


def test_every_exception_is_an_option():
    from whole_numbers import whole_numbers

    kinds = {n: k for k in ("problems", "engines", "surrogates") for n in ours(k)}
    for table in (LONGER, CUT):
        for name, options in table.items():
            there = {o.name for o in whole_numbers(kinds[name], name)}
            assert options <= there, (name, options - there)
