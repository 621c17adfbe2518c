"""What follows from an unknown is compared quantity by quantity."""

import json

import pytest

CONFIG = """
[problem]
name = "flame"
equivalence_ratio = 0.42
cells = 60
[problem.unknown]
conductivity = { kind = "log-normal", median = 0.026, std = 0.3 }
"""


def test_every_quantity_of_a_flame_has_a_score(tmp_path, call):
    config, files = tmp_path / "flame.toml", [tmp_path / f"{k}.nc" for k in (1, 2)]
    config.write_text(CONFIG)
    for k, file in enumerate(files):
        done = call("solve", "--config", config, "--seed", k, "--out", file)
        assert done.exit_code == 0, done.stderr
    apart = json.loads(call("score", files[0], "--truth", files[1], "--json").stdout)["scores"]
    assert set(apart) == {
        f"{m}{q}" for m in ("rel-l2", "rel-l1") for q in ("", " of s_L", " of T", " of u", " of Y")
    }
    assert min(apart.values()) > 1e-4
    assert apart["rel-l2 of T"] == pytest.approx(apart["rel-l2"], rel=0.1)
    words = ("score", files[0], "--truth", files[1], "--metric", "dice", "--json")
    hot = json.loads(call(*words, "--threshold", 1500).stdout)["scores"]["dice"]
    assert 0.5 < hot < 1
    assert "up to 1." not in (beyond := call(*words, "--threshold", 9000)).stderr
    assert beyond.exit_code == 2
    same = json.loads(call("score", files[0], "--truth", files[0], "--json").stdout)["scores"]
    assert max(same.values()) == 0.0
