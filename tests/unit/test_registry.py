"""The registry: names without imports, classes by name, and a hint where there is none."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from pdeinv.errors import ConfigError, UnknownPlugin
from pdeinv.plugins import registry


def test_a_registered_class_is_loaded_by_name():
    assert "pcn" in registry.names("engines")
    assert registry.load("engines", "pcn").name == "pcn"


def test_names_are_sorted_and_import_nothing_heavy():
    code = (
        "import sys; from pdeinv.plugins import registry\n"
        "for kind in ('problems', 'surrogates', 'engines'):\n"
        "    names = registry.names(kind); assert names == sorted(names) and names\n"
        "print([m for m in ('torch', 'dolfinx', 'arviz', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (
            "engines",
            "pnc",
            r"^unknown engine 'pnc'; did you mean 'pcn'\? \('pdeinv list' shows all\)$",
        ),
        ("problems", "darci", r"^unknown problem 'darci'; did you mean 'darcy'\?"),
        (
            "engines",
            "???",
            r"^unknown engine '\?\?\?'; known: .*\bpcn\b.* \('pdeinv list' shows all\)$",
        ),
    ],
)
def test_an_unknown_name_gets_the_nearest_match(kind, name, message):
    with pytest.raises(UnknownPlugin, match=message):
        registry.load(kind, name)


def test_an_empty_group_says_so(monkeypatch):
    monkeypatch.setattr(registry, "entry_points", lambda **_: [])
    with pytest.raises(ConfigError, match="known: none"):
        registry.load("surrogates", "fno")


def test_the_kind_of_a_name_is_found():
    assert registry.kind_of("darcy") == "problems"
    assert registry.kind_of("pcn") == "engines"
    assert registry.kind_of("gp") == "surrogates"
    with pytest.raises(UnknownPlugin, match=r"^unknown plug-in 'pnc'; did you mean 'pcn'\?"):
        registry.kind_of("pnc")


def test_a_third_party_adds_one_by_an_entry_point(monkeypatch):
    def found(group):
        return [EntryPoint("toy", "collections:OrderedDict", group)]

    monkeypatch.setattr(registry, "entry_points", found)
    assert registry.names("problems") == ["toy"]
    assert registry.load("problems", "toy").__name__ == "OrderedDict"


def test_a_folder_that_python_is_told_of_later_is_looked_into(tmp_path, monkeypatch):
    assert "told-later" not in registry.names("engines")
    about = tmp_path / "told_later-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: told-later\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[pdeinv.engines]\ntold-later = pdeinv.engines.eki:Eki\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert registry.load("engines", "told-later").name == "eki"
    monkeypatch.undo()
    assert "told-later" not in registry.names("engines")
