"""Descriptions of plug-ins that are kept: read without imports, dropped when code changes."""

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from pdeinv.plugins import cards
from pdeinv.plugins.listing import KINDS, describe

LOADED = (
    "import sys; from pdeinv.cli.verbs import app; code = app(sys.argv[1:], standalone_mode=False);"
    "heavy = {'numpy', 'scipy', 'xarray', 'pandas', 'torch', 'dolfinx'};"
    "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
)


def loaded(home, *words):
    """Heavy packages that a verb has imported, and what it printed."""
    env = {**os.environ, "XDG_CACHE_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], env=env, capture_output=True, text=True, check=True
    )
    return done.stderr.strip().splitlines()[-1], done.stdout


def test_a_second_list_is_the_first_one_without_numpy(tmp_path):
    first, text = loaded(tmp_path, "list", "--json")
    assert "numpy" in first
    assert loaded(tmp_path, "list", "--json") == ("[]", text)


def test_where_nothing_can_be_kept_classes_are_read_each_time(tmp_path, monkeypatch):
    (tmp_path / "no folder").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no folder"))
    assert cards.described("engines") == describe("engines")


@pytest.mark.parametrize("words", [["--help"], ["invert", "--help"], ["config", "--help"]])
def test_help_imports_no_numpy(tmp_path, words):
    assert loaded(tmp_path, *words)[0] == "[]"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with an engine of its own, found by its entry point."""
    folder = tmp_path / "path" / "kept_cards_plugin"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "one.py").write_text('"""First words."""\nclass One:\n    role = "a"\n')
    entry = EntryPoint("one", "kept_cards_plugin.one:One", "pdeinv.engines")
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cards, "entry_points", lambda **_: (entry,))
    monkeypatch.setattr("pdeinv.plugins.registry.entry_points", lambda **_: (entry,))
    yield folder
    sys.modules.pop("kept_cards_plugin.one", None)
    sys.modules.pop("kept_cards_plugin", None)


def described(package):
    for name in ("kept_cards_plugin.one", "kept_cards_plugin"):
        sys.modules.pop(name, None)
    return cards.described("engines"), "kept_cards_plugin.one" in sys.modules


def test_a_change_of_a_plug_ins_code_is_noticed(package):
    first, imported = described(package)
    assert (first[0]["summary"], imported) == ("First words.", True)
    assert described(package) == (first, False)
    (package / "one.py").write_text('"""Second, other words."""\nclass One:\n    role = "a"\n')
    second, imported = described(package)
    assert (second[0]["summary"], imported) == ("Second, other words.", True)


def test_what_cannot_be_imported_is_not_kept(package):
    (package / "one.py").write_text("import no_such_package_at_all\n")
    for _ in range(2):
        found, _ = described(package)
        assert not found[0]["available"]
    assert not list(package.parent.parent.glob("cache/pdeinv/cards/*"))


@pytest.mark.parametrize("damage", ["", "{}", '{"stamp": 1', "[]"])
def test_a_damaged_file_is_read_over(package, damage):
    first, _ = described(package)
    (file,) = package.parent.parent.glob("cache/pdeinv/cards/*")
    file.write_text(damage)
    assert described(package) == (first, True)


def test_descriptions_survive_being_text():
    for kind in KINDS:
        found = describe(kind)
        assert json.loads(json.dumps(found)) == found
