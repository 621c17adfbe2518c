"""Keys, flags, functions and variables that the pages name exist, and take the values shown."""

import inspect
import json
import re
import tomllib
from pathlib import Path

import pytest
from ours import ours
from typer.main import get_command

import pdeinv
from pdeinv.cli.settings import VARIABLES
from pdeinv.cli.verbs import app
from pdeinv.jobs.import_data import importers, problems
from pdeinv.jobs.invert.run import RunConfig
from pdeinv.jobs.two_level.rounds import RoundsConfig
from pdeinv.model.forward import DERIVATIVES
from pdeinv.plugins.registry import load
from pdeinv.surrogates.training.config import TrainingConfig

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *DOCS.rglob("*.md")]


def sections(page):
    """The text below each title of a page, by the title."""
    parts = re.split(r"^## (.+)$", (DOCS / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text, first):
    """The cells of the table whose first head is ``first``."""
    table = re.search(rf"^\| {re.escape(first)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[c.strip() for c in re.split(r"(?<!\\)\|", r)[1:-1]] for r in table[1].splitlines()]


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


# ---- keys ----


def shown_keys():
    """``key = value`` in the sections that are named after a plug-in."""
    pages = ("engines.md", "diffusion.md")
    for kind, page in (*(("engines", p) for p in pages), ("surrogates", "surrogates.md")):
        for title, text in sections(page).items():
            plug_ins = [n for n in title.split(", ") if n in ours(kind)]
            for name in plug_ins[:1]:
                for key, value in re.findall(r"`([a-z_]+) = ([^`]+)`", text):
                    yield kind, name, key, value


SHOWN = sorted(set(shown_keys()))
BESIDE = {
    ("gauss-newton", "inner"): {"regularization": "tv", "rule": "discrepancy"},
    ("map", "discrepancy"): {"starts": 1},
}
"""What a page says a key goes with."""


def test_keys_are_found():
    assert len(SHOWN) >= 20


@pytest.mark.parametrize(("kind", "name", "key", "value"), SHOWN)
def test_a_shown_key_exists_and_takes_the_shown_value(kind, name, key, value):
    table = {key: tomllib.loads(f"value = {value}")["value"], **BESIDE.get((name, key), {})}
    config = load(kind, name).Config
    if name == "two-level" and key not in config.model_fields:
        config = RoundsConfig  # of the surrogate that it trains
    config.model_validate(table)


def test_the_options_of_networks_exist():
    listed = rows(sections("training.md")["Options of every network"], "key")
    keys = [name for row in listed for name in names(row[0])]
    assert len(keys) >= 10
    assert set(keys) <= set(TrainingConfig.model_fields)


def test_the_run_file_has_the_shown_tables_and_defaults():
    block = re.search(r"^```toml\n# run.toml\n(.*?)^```", (DOCS / "configuration.md").read_text(),
                      re.MULTILINE | re.DOTALL)  # fmt: skip
    shown, default = tomllib.loads(block[1]), RunConfig().model_dump()
    assert set(shown) <= set(RunConfig.model_fields)
    assert shown["level"] == default["level"]
    assert shown["model"] == default["model"]


# ---- flags and variables ----


def every_flag():
    """Those of all verbs, and of all formats of ``import``."""
    waiting, found = [get_command(app)], set()
    while waiting:
        command = waiting.pop()
        found |= {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        waiting += getattr(command, "commands", {}).values()
    for importer in (i for problem in problems() for i in importers(problem).values()):
        found |= {"--" + key.replace("_", "-") for key in importer.Options.model_fields}
    return found


OTHERS = {
    *("--ntasks", "--signal", "--requeue", "--open-mode", "--ntasks", "--signals-to-handle"),
    *("--job-name", "--array", "--cpus-per-task", "--time", "--mem", "--nproc-per-node"),
    *("--no-deps", "--root", "--quick", "--only", "--flat", "--seeds", "--help"),
    *("--clock", "--table", "--rounds", "--each", "--pairs", "--shm-size", "--tuning"),
    *("--cases", "--kinds", "--flames", "--energies", "--parts", "--mismatch"),
}
"""Flags of Slurm, torchrun, pip and the programs in benchmarks/."""


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_flag_on_a_page_exists(page):
    if page.name == "benchmarks.md":
        pytest.skip("its flags are those of programs in benchmarks/")
    found = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*[a-z])", page.read_text()))
    assert found <= every_flag() | OTHERS


def test_the_page_lists_every_variable():
    text = sections("configuration.md")["Which setting wins"]
    assert set(re.findall(r"`(PDEINV_[A-Z]+)`", text)) == set(VARIABLES)


# ---- tables of engines, surrogates and functions ----

ENGINES = rows((DOCS / "engines.md").read_text(), "engine")
FUNCTIONS = rows((DOCS / "python.md").read_text(), "function")


def test_every_engine_is_in_the_table():
    assert sorted(names(row[0])[0] for row in ENGINES) == ours("engines")


@pytest.mark.parametrize("row", ENGINES, ids=lambda row: row[0])
def test_the_table_of_engines_is_that_of_the_code(row):
    name, (produces, derivatives) = names(row[0])[0], row[1:3]
    engine = load("engines", name)
    assert engine.produces == produces
    assert bool(engine.requires & DERIVATIVES) == (derivatives == "yes")


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda row: row[0])
def test_the_functions_take_the_shown_arguments(row):
    name, given = re.match(r"`pdeinv\.(\w+)\((.*)\)`", row[0]).groups()
    known = inspect.signature(getattr(pdeinv, name)).parameters
    assert set(re.findall(r"(\w+)=", given)) <= set(known)
    verbs = [verb for verb in names(row[1]) if not verb.startswith("-")]
    assert set(verbs) <= set(get_command(app).commands)


def test_the_page_lists_every_function():
    listed = {re.match(r"`pdeinv\.(\w+)", row[0])[1] for row in FUNCTIONS}
    modules = {"priors", "likelihoods"}
    assert listed == set(pdeinv.__all__) - {"OwnModel", "PdeinvError"} - modules
    assert all(f"`pdeinv.{name}." in (DOCS / "python.md").read_text() for name in modules)


def test_the_extras_of_the_readme_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    readme = (ROOT / "README.md").read_text()
    told = names(re.search(r"The extras are (.*?)\. The core", readme, re.DOTALL)[1])
    apart = ["segy", "dask"]
    whole = [name for name in extras if name not in (*apart, "all", "dev")]
    assert told == ["fem", "make demo", *whole[1:], *apart, "all", *apart]  # the last: left out
    assert extras["all"] == [f"pdeinv[{','.join(whole)}]"]


# ---- what a small run leaves ----


def test_the_numbers_of_an_ensemble_are_in_its_summary():
    model = pdeinv.own_model(lambda m: m**3, prior=pdeinv.priors.normal("a", mean=0.0, std=1.0))
    result = pdeinv.invert(([1.0], 0.5), model=model, engine="eki", seed=1, ensemble_size=40)
    listed = [n for row in rows(sections("engines.md")["eki"], "number") for n in names(row[0])]
    assert len(listed) >= 7
    assert set(listed) <= set(json.loads(result.attrs["pdeinv_summary"]))
