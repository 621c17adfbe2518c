"""``pdeinv check --plugin``: every clause of a protocol in one table, and an exit code."""

import json

import pytest
from toy_engine import ToyEngine
from toy_problem import Toy
from typer.testing import CliRunner

from pdeinv.cli.verbs import app
from pdeinv.plugins import registry


class Broken(Toy):
    name = "broken"

    def dofs(self, level):
        return 3


class Heavy(ToyEngine):
    name = "heavy"

    def finished(self, state):
        raise RuntimeError("no\nidea")


class Entry:
    """An entry point of an installed package, whose class lives here."""

    def __init__(self, kind):
        self.name, self.kind = kind.name, kind

    def load(self):
        return self.kind


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    ours = registry.entry_points
    toys = {"pdeinv.problems": [Toy, Broken], "pdeinv.engines": [Heavy]}

    def found(group):
        return [*ours(group=group), *map(Entry, toys.get(group, ()))]

    monkeypatch.setattr(registry, "entry_points", found)


def call(*words):
    return CliRunner().invoke(app, ["check", *words])


def test_a_plugin_that_keeps_its_protocol_passes():
    done = call("--plugin", "toy", "--json", "--set", "problem.cells=8")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is True
    assert found["subject"] == "problem 'toy'"
    assert all(set(c) == {"clause", "ok", "sentence"} for c in found["clauses"])


def test_a_broken_clause_is_named_and_the_exit_code_is_1():
    done = call("--plugin", "broken")
    assert done.exit_code == 1
    assert done.stderr == "failed: dofs\n"
    assert "FAILED" in done.stdout
    assert "`dofs(level)` is a whole number" in " ".join(done.stdout.replace("│", " ").split())


def test_whatever_a_plugin_raises_is_a_finding():
    done = call("--plugin", "heavy", "--json")
    assert done.exit_code == 1
    found = {c["clause"]: c for c in json.loads(done.stdout)["clauses"]}
    assert found["state-plain"]["ok"] is False
    assert "RuntimeError: no" in found["state-plain"]["sentence"]
    assert found["records"]["sentence"] == "skipped: needs state-plain"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--plugin", "gpp"), "unknown plug-in 'gpp'; did you mean 'gp'?"),
        ((), "give one of OBSERVATIONS, PROBLEM and --plugin NAME"),
        (("darcy", "--plugin", "toy"), "give one of OBSERVATIONS, PROBLEM and --plugin NAME"),
        (("--plugin", "toy", "--set", "problem.name=heat"), "the configuration names 'heat'"),
        (("--plugin", "toy", "--set", "problem.cell=8"), "did you mean 'cells'?"),
        (("--plugin", "d-bar"), "name a problem that it works on, with --set problem.name="),
    ],
)
def test_what_cannot_be_checked_is_refused_in_one_line(words, message):
    done = call(*words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_engine_is_tried_on_the_problem_that_is_named():
    problem = ("problem.name=eit", "problem.model=continuum", "problem.cells=8", "problem.modes=4")
    unknown = 'problem.unknown={kind = "piecewise", cells = [3, 1], std = 0.3}'
    words = [w for s in (*problem, unknown) for w in ("--set", s)]
    done = call("--plugin", "d-bar", *words)
    assert done.exit_code == 0, done.stdout
