"""What the command loads before it has anything to do, and how it ends when nobody reads it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.markup import render

from pdeinv.cli.verbs import app

EXAMPLES = Path(__file__).parents[2] / "examples"
HEAVY = (
    "pdeinv.jobs.observe",
    "torch",
    "dolfinx",
    "petsc4py",
    "mpi4py",
    "arviz",
    "matplotlib",
    "emcee",
    "gpytorch",
)


def loaded_after(*words):
    """Which of HEAVY and numpy, xarray are in sys.modules after the command ran."""
    code = f"""
import json, sys
from pdeinv.cli.verbs import app
try:
    app({list(words)!r})
except SystemExit as end:
    assert not end.code, end.code
names = {(*HEAVY, "numpy", "xarray")!r}
print(json.dumps([n for n in names if n in sys.modules]), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stderr.strip().splitlines()[-1])


@pytest.mark.parametrize("words", [("--help",), ("invert", "--help"), ("--version",)])
def test_help_loads_nothing_that_takes_time(words):
    assert loaded_after(*words) == []


@pytest.mark.parametrize("words", [("list",), ("config", "schema", "engines/pcn")])
def test_listing_loads_no_solver_and_no_network(words):
    assert not set(loaded_after(*words)) & set(HEAVY)


def test_to_tell_what_a_file_holds_loads_no_model():
    assert loaded_after("info", str(EXAMPLES / "darcy/obs.nc")) == ["numpy", "xarray"]


def test_the_import_probe_sees_what_is_loaded():
    code = "import xarray; from pdeinv.cli.verbs import app"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print('xarray' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "True"


def test_python_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "pdeinv", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("pdeinv ")


def test_a_reader_that_leaves_ends_the_command_quietly():
    with subprocess.Popen(
        [sys.executable, "-m", "pdeinv", "list", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdout.close()
        message = process.stderr.read()
    assert message == b""
    assert process.returncode == 141


def test_without_arguments_the_help_is_shown(call):
    result = call()
    assert result.exit_code == 0
    for verb in ("solve", "observe", "generate", "train-surrogate", "invert", "check", "doctor"):
        assert verb in result.stdout


def test_every_verb_explains_the_same_flags_alike(call):
    texts = {}
    for verb in ("solve", "observe", "generate", "train-surrogate", "invert"):
        lines = call(verb, "--help", env={"COLUMNS": "200"}).stdout.splitlines()
        for flag in ("--seed", "--out", "--overwrite", "--dry-run", "--config", "--set", "--json"):
            (line,) = [text for text in lines if flag in text.split()[:3]]
            texts.setdefault(flag, set()).add(" ".join(line.split()))
    assert {flag: len(found) for flag, found in texts.items()} == dict.fromkeys(texts, 1)


def help_texts(command):
    """Every text that ``--help`` shows below the command."""
    texts = [p.help for p in command.params if getattr(p, "help", None)]
    below = getattr(command, "commands", {}).values()
    return [*texts, command.help or "", *(text for c in below for text in help_texts(c))]


def test_help_shows_every_bracket():
    command = typer.main.get_command(app)
    lost = [t for t in help_texts(command) if t.count("[") != render(t).plain.count("[")]
    assert lost == []
    assert render("a table [problem]").plain == "a table "
