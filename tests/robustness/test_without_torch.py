"""The light installation has no torch, trains and inverts; what needs torch says so first."""

import json
import subprocess
import sys

import pytest

from pdeinv.config import dump_toml
from pdeinv.io import datasets
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.plugins import registry
from pdeinv.plugins.recipe import make_problem

pytestmark = pytest.mark.usefixtures("solves_here")

CONFIG = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.5}}
INSTALL = "pip install -e '.[surrogate]' in your clone of pdeinv"

WORK = """
import json, sys

class Blocked:
    names = {"torch", "neuralop"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from typer.testing import CliRunner
from pdeinv.cli.verbs import app

found = {}
for name, words in json.loads(sys.argv[1]).items():
    done = CliRunner().invoke(app, words)
    found[name] = {"code": done.exit_code, "stderr": done.stderr, "stdout": done.stdout}
assert "torch" not in sys.modules
print(json.dumps(found))
"""

PLAIN = ("gp", "multifidelity")
"""These train without torch."""
NETWORKS = ("latent", "deeponet", "fno", "tfno", "uno", "ensemble")
QUICK = {
    "latent": {"epochs": 2, "widths": [8]},
    "fno": {"epochs": 1, "width": 4, "layers": 1, "modes": 4},
}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A data set, observations, and two networks that were trained where torch is."""
    from typer.testing import CliRunner

    from pdeinv.cli.verbs import app

    folder = tmp_path_factory.mktemp("work")
    problem = make_problem("darcy", CONFIG)
    plan = Plan("darcy", CONFIG, problem.sensors("grid:3x3"), 40, 4, grid=(9, 9))
    generate(plan, folder / "data.nc", folder / "run")
    (folder / "run.toml").write_text(dump_toml({"problem": {"name": "darcy", **CONFIG}}))
    for words in (
        ("solve", "--config", folder / "run.toml", "--seed", 1, "--out", folder / "truth.nc"),
        ("observe", folder / "truth.nc", "--sensors", "grid:3x3", "--noise-rel", 0.05, "--seed", 2,
         "--out", folder / "obs.nc"),
    ):  # fmt: skip
        done = CliRunner().invoke(app, [str(w) for w in words])
        assert done.exit_code == 0, done.stderr
    data = datasets.read(folder / "data.nc")
    for name, options in QUICK.items():
        kind = registry.load("surrogates", name)
        kind.fit(data, problem, kind.Config(**options), 1).save(folder / f"trained-{name}")
    return folder


def commands(work):
    """Every command line by name; outputs lie in ``work``."""

    def train(name, *more):
        return (
            "train-surrogate",
            name,
            "--data",
            work / "data.nc",
            "--seed",
            6,
            *more,
            "--out",
            work / f"{name}{len(more)}",
        )

    def invert(name, *more):
        config = ("--config", work / "run.toml", "--seed", 3, "--out", work / f"{name}.nc")
        return ("invert", work / "obs.nc", *config, *more)

    surrogate = ("--model", "surrogate", "--engine", "map", "--surrogate")
    tiny = ("engine.draws=10", "engine.warmup=10", "engine.chains=1", "surrogate.round_size=12",
            "surrogate.max_rounds=2", "surrogate.target_sd=100")  # fmt: skip
    network = ("--set", "surrogate.method=network")
    fno, latent = work / "trained-fno", work / "trained-latent"
    return {
        **{f"train {name}": train(name) for name in (*PLAIN, *NETWORKS)},
        "train gp ensemble": train("ensemble", "--set", "surrogate.member=gp"),
        "train multifidelity network": train("multifidelity", *network),
        **{f"invert {name}": invert(name, *surrogate, work / f"{name}0") for name in PLAIN},
        "invert two-level": invert("two", *(w for key in tiny for w in ("--set", key))),
        "invert two-level network": invert(
            "network", "--set", "surrogate.options={method='network'}"
        ),
        "invert latent": invert("latent", *surrogate, latent),
        "invert fno": invert("fno", *surrogate, fno),
        "evaluate fno": ("evaluate", fno, "--seed", 1),
        "evaluate gp": ("evaluate", work / "gp0", "--n", 2, "--seed", 1),
        "solve pinn": (
            "solve", "--config", work / "run.toml", "--solver", "pinn", "--seed", 1,
            "--out", work / "pinn.nc",
        ),
        "list": ("list", "--json"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def found(work):
    words = {name: [str(w) for w in line] for name, line in commands(work).items()}
    command = [sys.executable, "-c", WORK, json.dumps(words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "name",
    [
        *(f"train {name}" for name in PLAIN),
        "train gp ensemble",
        *(f"invert {name}" for name in PLAIN),
        "invert two-level",
        "invert latent",
        "evaluate gp",
        "list",
    ],
)
def test_numpy_is_enough(name, found):
    assert found[name]["code"] == 0, found[name]["stderr"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((f"train {name}", "training surrogate") for name in NETWORKS),
        (
            "train multifidelity network",
            "training surrogate 'multifidelity' needs the package torch",
        ),
        ("invert two-level network", "training surrogate 'multifidelity' needs the package torch"),
        ("invert fno", "using surrogate 'fno' needs the package neuralop"),
        ("evaluate fno", "using surrogate 'fno' needs the package neuralop"),
        ("solve pinn", "networks need the package torch"),
    ],
)
def test_what_needs_torch_is_one_line_and_leaves_nothing(name, text, found, work):
    done = found[name]
    assert done["code"] == 2
    assert text in done["stderr"]
    assert INSTALL in done["stderr"]
    assert done["stderr"].count("\n") == 1
    out = commands(work)[name]
    if "--out" in out:
        path = out[out.index("--out") + 1]
        assert not list(path.parent.glob(f"{path.name}*"))


def test_every_surrogate_can_be_listed(found):
    listed = json.loads(found["list"]["stdout"])["surrogates"]
    ours = {e["name"] for e in listed if e["name"] in (*PLAIN, *NETWORKS)}
    assert ours == {*PLAIN, *NETWORKS}
    assert all(e["available"] for e in listed if e["name"] in ours)
