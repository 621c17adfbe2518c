"""Modules that workers load when they are used."""

import importlib
import importlib.util
import sys

from pdeinv.executors.processes import postpone


def test_a_postponed_module_can_be_asked_for_before_it_is_loaded(tmp_path, monkeypatch):
    (tmp_path / "heavy_one.py").write_text(
        "import sys\nsys.modules['heavy_one_is_loaded'] = sys\nX = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("heavy_one", "heavy_one_is_loaded"):
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
    postpone("heavy_one")
    found = importlib.util.find_spec("heavy_one")
    assert found is not None
    assert found.name == "heavy_one"
    assert "heavy_one_is_loaded" not in sys.modules  # asking has not loaded it
    assert importlib.import_module("heavy_one").X == 3
    assert "heavy_one_is_loaded" in sys.modules
