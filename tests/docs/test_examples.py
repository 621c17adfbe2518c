"""Every example of README.md and docs/ runs, at toy size, in the order of its page."""

import contextlib
import io
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from ours import ours
from typer.testing import CliRunner

from pdeinv.cli.verbs import app
from pdeinv.config import parse, parse_toml
from pdeinv.jobs.invert.run import RunConfig
from pdeinv.plugins.recipe import make_problem

pytestmark = pytest.mark.usefixtures("solves_here")

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NOT_RUN = ("make ", "git ", "conda ", "mpiexec ", "srun ", "python3.12 -m venv", ".venv/bin/")
"""Commands that need another machine or minutes; what they do is tested elsewhere."""

TOY_ENGINES = {
    "pcn": ("draws=40", "warmup=20", "thin=1"),
    "hmc": ("draws=20", "warmup=20"),
    "emcee": ("draws=20", "warmup=10"),
    "eki": ("ensemble_size=30",),
    "pnp-dm": ("draws=20", "warmup=20"),
    "diffpir": ("particles=4", "levels=10"),
    "pigdm": ("particles=4", "levels=10"),
    "red-diff": ("max_iterations=20",),
    "pinn": ("width=6", "depth=1", "points=32", "adam_steps=20", "newton_steps=20"),
    "two-level": ("draws=12", "warmup=4", "tuning=40", "chains=2"),
}
TOY_TRAINING = tuple(
    f"surrogate.{key}" for key in ("round_size=40", "max_rounds=2", "target_sd=50", "moves=20")
)
TOY_FLAGS = {"--n": "40", "--workers": "1", "--noise-rel": "0.05"}
"""Fewer samples and coarser data, so that a surrogate of few solves is good enough."""
ENOUGH = "150"
"""Samples around a posterior, which two-level has to accept a surrogate of, and fields whose law is
to be learned, which cost no solves."""
TOY_VARIABLES = {"PDEINV_PROBLEM__CELLS": "16", "OMP_NUM_THREADS": "1"}
TOY_CELLS = {
    "docs/problems/helmholtz.md": "8", "docs/problems/seismic.md": "8",
    "docs/problems/flame-cantera.md": None,
}  # fmt: skip
"""Fewer cells on pages whose elements are of high order, none where grids refine themselves."""
TOY_CRITERIA = {
    "docs/problems/flame-species.md": {
        "PDEINV_PROBLEM__SLOPE": "0.1",
        "PDEINV_PROBLEM__CURVE": "0.2",
    }
}
"""What stands for a number of cells on pages of problems whose cells follow the state."""


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text and the line where it starts."""

    language: str
    text: str
    line: int


def blocks(page):
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[2], page[: m.start()].count("\n") + 1) for m in found]


def toy(words, quick):
    """The command at toy size; ``quick`` spares the training that two-level begins with."""
    verb, rest = words[0], list(words[1:])
    for flag, value in TOY_FLAGS.items():
        if flag in rest:
            rest[rest.index(flag) + 1] = value
    if "--around" in rest or "--prior-only" in rest:
        rest[rest.index("--n") + 1] = ENOUGH
    if quick and "two-level" in rest and "--surrogate" not in rest:
        rest[rest.index("two-level")] = "eki"
    if verb == "invert" and "--dry-run" not in rest and "--config" not in rest:
        engine = rest[rest.index("--engine") + 1] if "--engine" in rest else "two-level"
        for setting in TOY_ENGINES.get(engine, ()):
            rest += ["--set", f"engine.{setting}"]
        if engine == "two-level" and "--surrogate" not in rest:
            for setting in TOY_TRAINING:
                rest += ["--set", setting]
    return [verb, *rest, *toy_network(verb, rest)]


def toy_network(verb, words):
    """Settings that make the network of ``solve --solver pinn`` small."""
    wanted = TOY_ENGINES["pinn"] if verb == "solve" and "pinn" in words else ()
    return [word for setting in wanted for word in ("--set", f"solver.{setting}")]


def run_shell(block, where):
    for line in block.text.replace("\\\n", " ").splitlines():
        command = line.strip()
        if not command or command.startswith("#") or command.startswith(NOT_RUN):
            continue
        words = shlex.split(command, comments=True)
        assert words[0] == "pdeinv", f"{where}: not a command that is tested: {command}"
        env = environment(where.partition(":")[0])
        result = CliRunner().invoke(app, toy(words[1:], quick="problems" in where), env=env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, f"{where}: {command}\n{result.stderr}"


def environment(page):
    """Variables that make the commands of a page small."""
    if page in TOY_CRITERIA:
        own = {**TOY_VARIABLES, **TOY_CRITERIA[page]}
        del own["PDEINV_PROBLEM__CELLS"]
        return own
    cells = TOY_CELLS.get(page, TOY_VARIABLES["PDEINV_PROBLEM__CELLS"])
    return {**TOY_VARIABLES, "PDEINV_PROBLEM__CELLS": cells}


def run_python(block, expected, names, where):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.text, where, "exec"), names)
    if expected is not None:
        assert printed.getvalue().strip() == expected.text.strip(), where


def read_toml(block, where):
    """Check the keys; a block that starts with '# name.toml' is written under that name."""
    tables = parse_toml(block.text, where)
    run = parse(RunConfig, tables, "")
    problem = dict(run.problem)
    make_problem(problem.pop("name", "darcy"), problem)
    named = re.match(r"# (\S+\.toml)\n", block.text)
    if named:
        Path(named[1]).write_text(block.text)


def follows(page, block, other):
    """Whether ``other`` stands right below ``block``."""
    end = block.line + block.text.count("\n") + 1
    between = page.splitlines()[end : other.line - 1]
    return not any(text.strip() for text in between)


# at toy size hardly any run converges
@pytest.mark.filterwarnings("ignore::pdeinv.jobs.export.Unconverged")
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, names = page.read_text(), {"__name__": "example"}
    found = blocks(text)
    for i, block in enumerate(found):
        where = f"{page.relative_to(ROOT)}:{block.line}"
        after = found[i + 1] if i + 1 < len(found) else None
        plain = after is not None and not after.language and follows(text, block, after)
        if block.language == "sh":
            run_shell(block, where)
        elif block.language == "python":
            run_python(block, after if plain else None, names, where)
        elif block.language == "toml":
            read_toml(block, where)
        else:
            assert not block.language, f"{where}: no rule for {block.language} blocks"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CODEMAP.md"],
                         ids=lambda p: str(p.relative_to(ROOT)))  # fmt: skip
def test_the_links_of_a_page_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_anchors_of_the_files_page_exist():
    text = (ROOT / "docs/files.md").read_text()
    titles = {t.lower().replace(" ", "-") for t in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= titles


def test_a_wrong_expected_output_is_noticed():
    with pytest.raises(AssertionError):
        run_python(Block("python", "print(1)\n", 1), Block("", "2\n", 4), {}, "here")


def test_the_command_line_page_lists_every_verb():
    result = CliRunner().invoke(app, ["--help"])
    table = (ROOT / "docs/command-line.md").read_text()
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE))
    shown = set(re.findall(r"^│ ([a-z][a-z-]+) ", result.stdout, re.MULTILINE))
    assert shown == listed


def test_the_readme_lists_every_registered_name():
    text = (ROOT / "README.md").read_text()
    for kind in ("problems", "engines", "surrogates"):
        for name in ours(kind):
            assert f"`{name}`" in text, f"{kind[:-1]} {name} is not in README.md"
