"""What the pages state as a default, a unit, an attribute or an exit code is what the code has."""

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from ours import LEARNED, ours

import pdeinv
from pdeinv.cli.invert import NOT_CONVERGED
from pdeinv.cli.outlets import SIGPIPE
from pdeinv.cli.signals import INTERRUPTED
from pdeinv.errors import PdeinvError, RunFailed
from pdeinv.jobs.two_level.rounds import RoundsConfig
from pdeinv.plugins.recipe import make_problem
from pdeinv.plugins.registry import load
from pdeinv.surrogates.pinn.config import PinnConfig
from pdeinv.surrogates.pinn.engine import PinnEngineConfig

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CODE = [
    p for room in ("pdeinv", "problems", "surrogates", "cli") for p in (ROOT / room).rglob("*.py")
]


PROBLEMS = [name for name in ours("problems") if (DOCS / f"problems/{name}.md").exists()]


def section(page, title):
    """The text below a title, up to the next one of its rank."""
    text = (DOCS / page).read_text()
    below = re.split(rf"^## {re.escape(title)}$", text, flags=re.MULTILINE)[1]
    return re.split(r"^## ", below, flags=re.MULTILINE)[0]


def table_of(page, title):
    """The first TOML block below a title."""
    found = re.search(r"^```toml\n(.*?)^```$", section(page, title), re.MULTILINE | re.DOTALL)
    return tomllib.loads(found[1])


def leaves(table, path=()):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def at(table, path):
    for key in path:
        table = table[key] if isinstance(table, dict) and key in table else None
    return table


def nested(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def readings(problem, config):
    made = make_problem(problem, config)
    m = made.prior().unwhiten(np.linspace(-1, 1, made.prior().dim))
    return made.forward_model(made.sensors(made.default_sensors))(m)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_configuration_on_a_page_shows_the_defaults(problem):
    """A key that is unset by default is shown with the value that stands for it."""
    shown = dict(leaves(table_of(f"problems/{problem}.md", "Configuration")["problem"]))
    default = make_problem(problem, {}).config.model_dump(mode="json")
    for path, value in shown.items():
        if path[0] in ("name", "boundary"):
            continue
        if at(default, path) is None:
            same = np.array_equal(readings(problem, nested(path, value)), readings(problem, {}))
        else:
            same = at(default, path) == value
        assert same, f"{'.'.join(path)} = {value}, by default {at(default, path)}"


def number(text):
    raised = re.fullmatch(r"10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", text.strip())
    if raised:
        return 10.0 ** int(raised[1].translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
    share = re.fullmatch(r"(\d+) %", text.strip())
    if share:
        return int(share[1]) / 100
    try:
        return float(text.replace(" ", ""))
    except ValueError:
        return None


def stated(text):
    """Defaults in running text, a key with a number in brackets, and in tables of options."""
    for key, value in re.findall(r"`([a-z_]+)` \(([^)`]+)\)", text):
        if number(value) is not None:
            yield key, number(value)
    for row in _rows_with_defaults(text):
        keys, values = (re.sub(r"\([^)]*\)", "", cell).split(", ") for cell in row[:2])
        for key, value in zip(keys, values, strict=False):
            plain = value.strip().strip("`")
            yield key.strip("`"), plain if number(plain) is None else number(plain)


def _rows_with_defaults(text):
    for found in re.finditer(
        r"^\| option[^\n]*\| default \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE
    ):
        for line in found[1].splitlines():
            yield [cell.strip() for cell in line.strip("|").split("|")]


IMAGES = (
    "average-image, linear-image, lin-fno, nio, eit-transformer, inverse-unet, inverse-deeponet, "
    "inverse-fcnn, inversion-net, latent-unet, x-net"
)
ENGINES = [n for n in ours("engines") if n not in ("pinn", *LEARNED)]
DIFFUSION = re.findall(r"^## ([a-z-]+)$", (DOCS / "diffusion.md").read_text(), re.MULTILINE)


def page_of(engine):
    return "diffusion.md" if engine in DIFFUSION else "engines.md"


PAGES = {
    **dict.fromkeys(LEARNED, ("engines", "engines.md", f"{IMAGES}, inverse-cnn")),
    **{n: ("engines", page_of(n), n) for n in ENGINES},
    **{
        n: ("surrogates", "surrogates.md", n)
        for n in ("multifidelity", "latent", "gp", "ensemble", "deeponet")
    },
    "fno": ("surrogates", "surrogates.md", "fno, tfno, uno"),
}


def defaults(kind, name):
    return load(kind, name).Config().model_dump(mode="json")


FOUND = [
    (name, key, value)
    for name, (kind, page, title) in PAGES.items()
    for key, value in stated(section(page, title))
    if key in defaults(kind, name)
]


def test_defaults_are_found():
    assert len(FOUND) >= 20


@pytest.mark.parametrize(("name", "key", "value"), FOUND)
def test_a_stated_default_is_that_of_the_code(name, key, value):
    assert defaults(PAGES[name][0], name)[key] in (value, None)


def test_the_training_on_the_way_has_the_stated_defaults():
    default = RoundsConfig().model_dump()
    found = {k: v for k, v in stated(section("engines.md", "two-level")) if k in default}
    assert len(found) >= 5
    assert found == {key: default[key] for key in found}


def test_the_network_that_solves_has_the_stated_defaults():
    forward, inverse = PinnConfig().model_dump(), PinnEngineConfig().model_dump()
    found = dict(stated(section("pinn.md", "How it is built")))
    assert found.pop("lbfgs_steps") == 3000 == forward["lbfgs_steps"]
    assert "3000 (engine: 6000)" in section("pinn.md", "How it is built")
    assert inverse["lbfgs_steps"] == 6000
    assert len(found) >= 18
    for key, value in found.items():
        assert {**inverse, **forward}[key] == value, key


def test_the_page_lists_every_exit_code():
    listed = re.findall(r"^\| (\d+) \|", section("command-line.md", "For scripts"), re.MULTILINE)
    classes = [PdeinvError, *PdeinvError.__subclasses__(), *RunFailed.__subclasses__()]
    codes = {0, *(c.exit_code for c in classes), NOT_CONVERGED, INTERRUPTED, SIGPIPE}
    assert set(map(int, listed)) == codes


# ---- what files hold ----

SMALL = {"cells": 4, "unknown": {"kind": "piecewise", "cells": (2, 2)}}
QUICK = {
    "map": {"starts": 1},
    "laplace": {"starts": 1},
    "database": {"n": 20, "starts": 1},
    "gauss-newton": {},
    "eki": {"ensemble_size": 30},
    "pcn": {"draws": 30, "warmup": 5, "searches": 1},
    "hmc": {"draws": 30, "warmup": 10, "searches": 1},
    "emcee": {"draws": 30, "warmup": 5},
}
TEXTS = "USOT"
"""Kinds of variables without units."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A truth, observations, and a result of every engine that the small problem suits."""
    folder = tmp_path_factory.mktemp("files")
    truth = pdeinv.solve(pdeinv.problem("darcy", **SMALL), seed=1, out=folder / "truth.nc")
    obs = pdeinv.observe(truth, sensors="grid:3x3", noise_rel=0.02, seed=1, out=folder / "obs.nc")
    for name, options in QUICK.items():
        pdeinv.invert(obs, engine=name, seed=1, out=folder / f"{name}.nc", **options)
    return {p.stem: xr.open_datatree(p).load() for p in folder.glob("*.nc")}


def words(text):
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`\n]+)`", prose))


def test_every_file_has_the_attributes_of_its_origin(files):
    named = {w for w in words(section("files.md", "Provenance")) if w.startswith("pdeinv_")}
    assert len(named) >= 7
    for name, tree in files.items():
        assert {*named, "history"} <= set(tree.attrs), name


def test_every_result_has_the_figures_that_the_page_names(files):
    text = section("files.md", "Result")
    named = {w for w in words(text) if w.startswith("pdeinv_") and "training" not in w}
    assert len(named) >= 9
    for name in QUICK:
        assert named <= set(files[name].attrs), name


def test_every_group_of_a_result_is_on_a_page(files):
    known = words((DOCS / "files.md").read_text()) | words((DOCS / "engines.md").read_text())
    found = {group for name in QUICK for group in files[name].children}
    assert found <= known
    listed = re.findall(r"^\| (`.*?) \|", section("files.md", "Result"), re.MULTILINE)
    groups = {"group", "modes", "derived", "bands"}
    assert found >= {w for cell in listed for w in words(cell)} - groups


@pytest.mark.parametrize("name", QUICK)
def test_names_in_the_section_of_an_engine_are_those_of_its_options_and_its_result(name, files):
    tree, config = files[name], load("engines", name).Config
    known = set(re.findall(r"\w+", json.dumps(config.model_json_schema())))
    known |= {
        str(n) for g in tree.subtree for n in (g.name, *g.to_dataset(inherit=False).variables)
    }
    known |= set(json.loads(tree.attrs["pdeinv_summary"])) | {"invert", *ours("engines")}
    known |= {group for other in QUICK for group in files[other].children}
    said = words(section("engines.md", name))
    found = {word for word in said if re.fullmatch("[a-z][a-z0-9_]+", word)} - known
    assert {f"pdeinv_{word}" for word in found} <= set(tree.attrs), found


def test_every_variable_says_what_it_is_and_in_which_units(files):
    for name, tree in files.items():
        for group in tree.subtree:
            for key, variable in group.to_dataset(inherit=False).variables.items():
                wanted = {"long_name"} if variable.dtype.kind in TEXTS else {"long_name", "units"}
                assert wanted <= set(variable.attrs), f"{name}:{group.path}/{key}"


def test_attributes_that_pages_name_are_written_somewhere():
    """The code may hold the name alone, as that of a counter, and put ``pdeinv_`` before it."""
    text = "".join(page.read_text() for page in DOCS.rglob("*.md"))
    code = "".join(path.read_text() for path in CODE)
    for name in sorted(set(re.findall(r"`pdeinv_([a-z_]+)`", text))):
        plain = name.removesuffix("_training").removesuffix("_heldout").removesuffix("_expected")
        assert re.search(rf"[\"{{_ ]{plain}\b|\b{plain}:", code), name


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_units_on_a_page_are_those_of_the_files(problem):
    """Of the table of symbols: quantities of a truth by the names that they have in files."""
    page = (DOCS / f"problems/{problem}.md").read_text()
    rows = re.findall(r"^\| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", page, re.MULTILINE)
    made = make_problem(problem, {})
    prior = made.prior()
    units = {v.name: v.units for v in [*prior.space.variables, made.observed]}
    named = {
        name.strip("`"): cell.strip()
        for _, _, cell, names in rows
        for name in re.findall(r"`\w+`", names)
    }
    checked = [
        n for n in units if re.fullmatch(r"1|[a-zA-Z]+(-?\d)?( [a-zA-Z]+-?\d)*", named.get(n, ""))
    ]
    assert checked
    for name in checked:
        assert named[name] == units[name]
