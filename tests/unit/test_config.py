"""Configurations: errors that name the key, merging, and text that reads back."""

import math

import pytest
from pydantic import Field, ValidationError

from pdeinv.config import Config, dump_toml, fingerprint, merge, parse, parse_toml, read_toml
from pdeinv.errors import ConfigError


class Solver(Config):
    tolerance: float = Field(1e-8, gt=0)
    iterations: int | None = None


class Toy(Config):
    name: str
    nodes: tuple[int, ...] = (3, 3)
    solver: Solver = Solver()


def test_values_are_converted_and_frozen():
    toy = parse(Toy, {"name": "a", "nodes": [4, 5], "solver": {"tolerance": "1e-3"}}, "problem")
    assert toy.nodes == (4, 5)
    assert toy.solver.tolerance == 1e-3
    with pytest.raises(ValidationError):
        toy.name = "b"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"nam": "a"}, r"^unknown key 'problem.nam'; did you mean 'name'\?$"),
        ({"node": 3}, r"^unknown key 'problem.node'; did you mean 'nodes'\?$"),
        ({"nodes": 3}, r"^problem.name: field required$"),
        ({"name": "a", "node": 1}, r"^unknown key 'problem.node'; did you mean 'nodes'\?$"),
        ({"name": "a", "zzz": 1}, r"^unknown key 'problem.zzz'; remove it$"),
        (
            {"name": "a", "solver": {"tolerence": 1}},
            r"^unknown key 'problem.solver.tolerence'; did you mean 'tolerance'\?$",
        ),
        ({"name": 3}, r"^problem.name: input should be a valid string \(got 3\)$"),
        (
            {"name": "a", "nodes": [1, "b"]},
            r"^problem.nodes.1: input should be a valid integer.*'b'",
        ),
        (
            {"name": "a", "solver": {"tolerance": -1}},
            r"^problem.solver.tolerance: input should be greater than 0 \(got -1\)$",
        ),
        ({"name": ["x" * 200]}, r"\(got \['x+\.\.\.\)$"),
        ({"name": "a", "nodes": [1, 10**400]}, r"^problem.nodes.1: expected a number below 1e308"),
        (
            {"name": "a", "solver": {"tolerance": -(10**309)}},
            r"^problem.solver.tolerance: exp.*308",
        ),
    ],
)
def test_the_first_error_is_one_line_that_names_the_key(data, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse(Toy, data, "problem")
    assert "\n" not in str(caught.value)


def test_at_the_top_level_the_key_stands_alone():
    with pytest.raises(ConfigError, match=r"^unknown key 'node'; did you mean 'nodes'\?$"):
        parse(Toy, {"name": "a", "node": 1}, "")


def test_toml_reads_back_what_was_written():
    data = {
        "seed": 1,
        "table": {"a": 1.5, "b": [1, 2], "inf": math.inf, "deep": {"flag": True, "text": "é\n'"}},
    }
    assert parse_toml(dump_toml(data), "text") == data


def test_none_is_left_out_of_toml():
    data = {"a": None, "b": {"c": None, "d": 1}, "e": [{"f": None, "g": 2}]}
    assert parse_toml(dump_toml(data), "text") == {"b": {"d": 1}, "e": [{"g": 2}]}


def test_a_resolved_configuration_reads_back():
    toy = Toy(name="a", solver=Solver(iterations=5))
    assert parse(Toy, parse_toml(dump_toml(toy.model_dump(mode="json")), "text"), "") == toy


def test_a_toml_file_is_read(tmp_path):
    (tmp_path / "run.toml").write_text("a = 1\n[b]\nc = 2.0\n")
    assert read_toml(tmp_path / "run.toml") == {"a": 1, "b": {"c": 2.0}}


def test_unreadable_toml_is_refused(tmp_path):
    path = tmp_path / "run.toml"
    with pytest.raises(ConfigError, match=r"^cannot read configuration .*run\.toml: No such file"):
        read_toml(path)
    path.write_text("a = [1,")
    with pytest.raises(
        ConfigError, match=r"run\.toml is not valid TOML: .*\(at end of document\)$"
    ):
        read_toml(path)
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"run\.toml is not UTF-8 text; expected TOML$"):
        read_toml(path)


def test_merging_goes_table_by_table_and_leaves_its_inputs_alone():
    base = {"a": 1, "b": {"c": 1, "d": {"e": 1, "f": 1}}, "g": {"h": 1}}
    over = {"a": 2, "b": {"d": {"e": 2}}, "g": 3, "new": {"x": 1}}
    merged = merge(base, over)
    assert merged == {"a": 2, "b": {"c": 1, "d": {"e": 2, "f": 1}}, "g": 3, "new": {"x": 1}}
    assert base == {"a": 1, "b": {"c": 1, "d": {"e": 1, "f": 1}}, "g": {"h": 1}}


def test_a_fingerprint_depends_on_values_and_not_on_order():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1, "b": 2}) != fingerprint({"a": 1, "b": 3})
    assert len(fingerprint({})) == 16


def test_a_mark_of_byte_order_before_the_toml_is_passed_over(tmp_path):
    path = tmp_path / "run.toml"
    path.write_bytes(b"\xef\xbb\xbfseed = 3\r\n")
    assert read_toml(path) == {"seed": 3}
