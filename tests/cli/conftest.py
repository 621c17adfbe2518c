"""A small Darcy problem on disk, and a way to call the command in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest
from small_darcy import SMALL
from typer.testing import CliRunner, Result

from pdeinv.cli.verbs import app

Call = Callable[..., Result]


@pytest.fixture(scope="session")
def call() -> Call:
    """Run the command with arguments; a bug in it is raised here."""
    runner = CliRunner()

    def run(*words: object, env: dict[str, str] | None = None) -> Result:
        result = runner.invoke(app, [str(w) for w in words], env=env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, call: Call) -> Path:
    """A folder with small.toml, truth.nc and obs.nc, made by the command itself."""
    folder = tmp_path_factory.mktemp("small")
    config, truth, obs = (folder / name for name in ("small.toml", "truth.nc", "obs.nc"))
    config.write_text(SMALL)
    solved = call("solve", "--config", config, "--out", truth, "--seed", 1)
    assert solved.exit_code == 0, solved.stderr
    words = ("observe", truth, "--sensors", "grid:3x3", "--noise-rel", 0.02, "--seed", 1)
    observed = call(*words, "--out", obs)
    assert observed.exit_code == 0, observed.stderr
    return folder


@pytest.fixture
def work(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh working folder that holds copies of those files."""
    for file in small.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path
