"""Provenance: what every output says about how it came to be."""

import hashlib
import sys

from pdeinv.config import parse_toml
from pdeinv.provenance import Source, attributes, named_apart, sha256, sources_of, versions


def test_attributes_hold_what_repeats_the_run(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pdeinv", "invert", "my obs.nc"])
    found = attributes({"a": {"b": 1}, "c": None}, 42, [Source("obs.nc", "abc")])
    assert found["Conventions"] == "CF-1.11"
    assert found["pdeinv_command"] == "pdeinv invert 'my obs.nc'"
    assert found["history"].endswith(found["pdeinv_command"])
    assert parse_toml(found["pdeinv_config"], "") == {"a": {"b": 1}}
    assert found["pdeinv_seed"] == 42
    assert found["pdeinv_inputs"] == "obs.nc:sha256=abc"
    assert f"numpy={versions()['numpy']}" in found["pdeinv_versions"]
    assert all(isinstance(v, str | int) for v in found.values())


def test_the_hash_of_a_file_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 1_000_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()


def test_the_hash_of_a_folder_sees_names_and_contents(tmp_path):
    digests = set()
    for i, (name, text) in enumerate([("a", "1"), ("b", "1"), ("a", "2"), ("c/a", "1")]):
        file = tmp_path / str(i) / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
        digests.add(sha256(tmp_path / str(i)))
    assert len(digests) == 4
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "a").write_text("1")
    assert sha256(tmp_path / "copy") == sha256(tmp_path / "0")


def test_files_of_one_name_are_told_apart(tmp_path):
    paths = [tmp_path / folder / "map.nii" for folder in ("white", "grey")]
    other = tmp_path / "other.nii"
    for path in (*paths, other):
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(path))
    found = named_apart([*paths, other])
    assert [s.name for s in found] == [*map(str, paths), "other.nii"]
    assert len({s.sha256 for s in found}) == 3
    assert len(dict(sources_of({"a": paths[0], "b": {"c": paths[1]}}))) == 2
