"""Flags go before PDEINV_* variables, those before the file, the file before defaults."""

import json
import re

import pytest

from pdeinv.cli.options import Settings
from pdeinv.cli.settings import VARIABLES, load_tables, seed_of, with_flags
from pdeinv.errors import ConfigError
from pdeinv.io.runs import remember

VERBS = ("invert", "train-surrogate")
FILE = 'seed = 3\nworkers = 2\n[engine]\nname = "pcn"\ndraws = 30\nbeta = 0.3\n'


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(FILE)
    return path


def test_a_variable_goes_before_the_file_and_set_before_the_variable(file):
    environ = {"PDEINV_ENGINE__DRAWS": "40", "PDEINV_ENGINE__BETA": "0.4", "PDEINV_SEED": "9"}
    tables = load_tables(Settings(file, ["engine.draws=50"]), environ)
    assert tables["engine"] == {"name": "pcn", "draws": 50, "beta": 0.4}


def test_a_flag_goes_before_everything(file):
    tables = load_tables(Settings(file, ["engine.draws=50"]), {})
    assert with_flags(tables, engine__draws=60, seed=None)["engine"]["draws"] == 60
    assert with_flags(tables, engine__draws=60, seed=None)["seed"] == 3


WRITTEN = {
    "engine": "[engine]\nname = 'hmc'\npath = 1.2\n",
    "surrogate": "[surrogate]\nname = 'latent'\nwidths = [8]\n",
    "problem": "[problem]\nname = 'darcy'\n[problem.unknown]\nkind = 'two-phase'\n",
}


@pytest.mark.parametrize(
    ("table", "other"), [("engine", "map"), ("surrogate", "gp"), ("problem", "heat")]
)
def test_a_run_file_of_another_plug_in_is_named(table, other, tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(WRITTEN[table])
    with_flags(load_tables(Settings(file, []), {}), **{f"{table}__name": None})
    was = re.search("name = '(.*)'", WRITTEN[table])[1]
    said = rf"table \[{table}\] of the run file is written for '{was}', which '{other}' replaces"
    with pytest.raises(ConfigError, match=said):
        with_flags(load_tables(Settings(file, []), {}), **{f"{table}__name": other})
    with pytest.raises(ConfigError, match=said):
        load_tables(Settings(file, [f"{table}.name={other}"]), {})


def test_a_run_file_whose_keys_another_engine_has_serves_both(file):
    file.write_text("[engine]\nname = 'pcn'\ndraws = 30\n")
    tables = with_flags(load_tables(Settings(file, []), {}), engine__name="hmc")
    assert tables["engine"] == {"name": "hmc", "draws": 30}


@pytest.mark.parametrize(
    ("words", "env", "seed"),
    [
        ((), {}, 3),
        ((), {"PDEINV_SEED": "4"}, 4),
        (("--seed", 5), {"PDEINV_SEED": "4"}, 5),
    ],
)
def test_the_command_follows_the_order(words, env, seed, call, work, file):
    command = ("invert", "obs.nc", "--config", file, "--out", "o.nc", "--dry-run", "--json")
    result = call(*command, *words, env=env)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["seed"] == seed


def test_a_default_holds_where_nothing_is_said(call, work):
    plan = json.loads(
        call("invert", "obs.nc", "-e", "pcn", "--out", "o.nc", "--dry-run", "--json").stdout
    )
    assert plan["chains"] == 4
    assert not (work / "o.nc").exists()
    assert not (work / "o.nc.run").exists()


def test_values_of_set_are_toml_or_text():
    tables = load_tables(
        Settings(None, ["problem.lengths=[2.0, 1.0]", "problem.name=darcy", "seed=7"]), {}
    )
    assert tables == {"problem": {"lengths": [2.0, 1.0], "name": "darcy"}, "seed": 7}


def test_an_unknown_variable_key_is_an_error():
    with pytest.raises(ConfigError, match="unknown key 'engin'; did you mean 'engine'"):
        load_tables(Settings(), {"PDEINV_ENGIN__DRAWS": "3"})


def test_an_unknown_variable_is_an_error():
    with pytest.raises(ConfigError, match="PDEINV_SEDE; did you mean PDEINV_SEED"):
        load_tables(Settings(), {"PDEINV_SEDE": "3"})


def test_every_variable_of_an_option_is_known(call):
    helps = " ".join(call(v, "--help", env={"COLUMNS": "200"}).stdout for v in VERBS)
    assert set(re.findall(r"PDEINV_[A-Z]+(?=\])", helps)) == set(VARIABLES)


def test_a_resumed_run_keeps_its_seed_unless_one_is_given(tmp_path):
    run = tmp_path / "o.run"
    remember(run, {"seed": 12})
    assert seed_of({}, run) == 12
    assert seed_of({"seed": 1}, run) == 1
    assert seed_of({}) != seed_of({})


def test_config_show_gives_a_file_that_resolves_to_itself(call, work):
    words = ("config", "show", "obs.nc", "--set", "engine.name=pcn", "--set", "seed=5")
    first = call(*words).stdout
    (work / "all.toml").write_text(first)
    assert call("config", "show", "obs.nc", "--config", "all.toml").stdout == first
    assert 'name = "pcn"' in first
    assert "beta = 0.2" in first


def test_config_schema_describes_every_key(call):
    found = json.loads(call("config", "schema", "engines/pcn").stdout)
    assert {"draws", "warmup", "beta", "chains"} <= set(found["properties"])
    assert set(json.loads(call("config", "schema").stdout)["properties"]) >= {"seed", "engine"}
