"""A run that was stopped or killed and continued gives the same bits as one that was not."""

import contextlib
import inspect
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from folded import two_modes
from ours import LEARNED, ours

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.engines.ended import Ended
from pdeinv.engines.run import chain
from pdeinv.engines.run.checkpoint import ChainStore
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Budget, Run
from pdeinv.errors import ConfigError, DataSchemaError, Preempted, RunFailed
from pdeinv.model.learned import Estimate
from pdeinv.plugins import registry

SAME = {*LEARNED} - {"linear-image"}
"""One implementation under several names: linear-image stands for them."""
RULES = ("daps", "dds", "diffpir", "diffusionpde", "dmps", "dps", "fundps", "pigdm")
"""Diffusion rules that draw particles."""
OPTIONS = {
    "map": {"starts": 3},
    "laplace": {"draws": 9, "rank": 1, "oversampling": 0},
    "pcn": {"chains": 2, "draws": 60, "warmup": 10, "thin": 2},
    "hmc": {"chains": 2, "draws": 20, "warmup": 20, "thin": 2},
    "emcee": {"ensembles": 2, "draws": 12, "warmup": 4, "thin": 2, "moves": "de-snooker"},
    "eki": {"ensemble_size": 20},
    "cma": {"population": 5, "max_iterations": 60, "searches": 2, "tolerance": 0.5},
    "database": {"n": 200, "keep": 3, "starts": 2},
    "d-bar": {"grid": 16, "parts": 4},
    "gauss-newton": {"start": "prior", "line_search": False, "tolerance": 1e-14},
    "gaussian": {"chains": 2, "draws": 9},
    "pinn": {
        "width": 4,
        "depth": 1,
        "points": 8,
        "adam_steps": 8,
        "newton_steps": 12,
        "block": 4,
        "newton_block": 3,
        "settle": 0,
    },
    **{name: {"chains": 2, "particles": 3, "levels": 8} for name in RULES},
    "enkg": {"ensemble_size": 6, "levels": 8},
    "red-diff": {"max_iterations": 20},
    "pnp-dm": {"chains": 2, "draws": 20, "warmup": 10, "thin": 2, "walkers": 2},
    "two-level": {"chains": 2, "draws": 12, "warmup": 2, "tuning": 20, "subchain": 2},
    "linear-image": {"polish": "map", "discrepancy": 0.3},
}
NAMES = sorted(set(ours("engines")) - SAME)
ALL = pytest.mark.parametrize("name", NAMES)
CASE = LinearGaussian.example(np.random.default_rng(4), 3, 12)
BUILD = partial(CASE.posterior, replace(CASE, matrix=1.01 * CASE.matrix))
"""With a coarse twin; it can be pickled, for workers."""


def disc():
    """The boundary map of a disc, which is all that d-bar works on."""
    import numpy as np

    from pdeinv.bayes.noise import Noise
    from pdeinv.bayes.posterior import Posterior, WhitenedModel
    from pdeinv.problems.eit import Eit

    unknown = {"kind": "piecewise", "cells": [5, 3], "std": 0.3}
    problem = Eit(Eit.Config(model="continuum", cells=8, modes=4, unknown=unknown))
    prior, model = problem.prior(), problem.forward_model(problem.sensors("all"))
    data = model(prior.unwhiten(np.linspace(-1, 1, 15)))
    return Posterior(prior, WhitenedModel(prior, model), data, Noise(np.full(len(data), 0.01)))


def told():
    """With an estimate of a learned inverse, so far off that its polish takes many steps."""
    return replace(BUILD(), estimate=Estimate(np.full(3, 200.0), np.full(3, 0.5)))


def builder(name):
    """What an engine works on; it can be pickled."""
    return disc if name == "d-bar" else told if name == "linear-image" else BUILD


def make(name, **more):
    kind = registry.load("engines", name)
    return kind(kind.Config(**{**OPTIONS[name], **more}))


def go(name, folder, progress=None, engine=None, **spec):
    return run(engine or make(name), builder(name), Run(seed=3, folder=folder, **spec), progress)


def assert_same(a, b):
    """Draws, statistics, groups, numbers and solve counts, bit for bit."""
    assert np.array_equal(a.outcome.xi, b.outcome.xi)
    assert (a.outcome.m is None) == (b.outcome.m is None)
    assert a.outcome.m is None or np.array_equal(a.outcome.m, b.outcome.m)
    assert a.outcome.stats.keys() == b.outcome.stats.keys()
    assert all(np.array_equal(a.outcome.stats[k], b.outcome.stats[k]) for k in a.outcome.stats)
    assert a.outcome.summary == b.outcome.summary
    assert (a.outcome.message, a.outcome.converged) == (b.outcome.message, b.outcome.converged)
    assert all(v.identical(b.outcome.groups[k]) for k, v in a.outcome.groups.items())
    assert a.counters == b.counters


def test_every_registered_engine_is_tried():
    assert set(NAMES) == set(OPTIONS)


@ALL
def test_stop_file_saves_and_resume_continues(name, tmp_path):
    whole, folder = go(name, tmp_path / "whole"), tmp_path / "stopped"
    stops = []

    def stop(chain, step, n_steps, note):
        if step and len(stops) < 3:
            stops.append(step)
            (folder / "STOP").touch()

    with contextlib.suppress(Preempted):
        go(name, folder, stop)
    while len(stops) < 3:
        with contextlib.suppress(Preempted):
            go(name, folder, stop, resume=True)
    assert stops[0] == 1
    assert_same(go(name, folder, resume=True), whole)


@ALL
def test_a_stop_in_a_long_step_does_not_wait_for_its_end(name, tmp_path, monkeypatch):
    """Every step counts as long here; what it has drawn, solved and counted is as before it."""
    whole, folder, given_up = go(name, tmp_path / "whole"), tmp_path / "stopped", []
    until, advance = chain._until, chain.advance

    def stop(chain, step, n_steps, note):
        if step:
            (folder / "STOP").touch()

    def watched(ends, steps):
        found = yield from until(ends, steps)
        given_up.extend([name] if found is None else [])
        return found

    with contextlib.suppress(Preempted):
        go(name, folder, stop)
    monkeypatch.setattr(chain, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(chain, "LONG_STEP", 0.0)
    monkeypatch.setattr(chain, "_until", watched)
    for requests in (1, 2, 3, 5, 8):
        left = iter(range(requests - 1, -1, -1))

        def counted(*args, left=left):
            if next(left, None) == 0:
                (folder / "STOP").touch()
            return advance(*args)

        monkeypatch.setattr(chain, "advance", counted)
        with contextlib.suppress(Preempted):
            go(name, folder, resume=True)
    monkeypatch.setattr(chain, "advance", advance)
    assert given_up or name not in {"pcn", "hmc", "two-level", "emcee"}
    assert_same(go(name, folder, resume=True), whole)


@ALL
def test_a_start_that_takes_solves_is_told_and_can_be_stopped(name, tmp_path, monkeypatch):
    """Every request counts as a long one here; what is told says so before the first step."""
    monkeypatch.setattr("pdeinv.engines.run.chain.LOOK_SECONDS", 0.0)
    whole, told = go(name, tmp_path / "whole"), []

    def stop(chain, step, n_steps, note):
        if step == 0 and not told:
            told.append(note)
            (tmp_path / "stopped" / "STOP").touch()

    words = ""
    try:
        found = go(name, tmp_path / "stopped", stop)
    except Preempted as error:
        words = str(error)
        found = go(name, tmp_path / "stopped", resume=True)
    assert_same(found, whole)
    early = "before any chain had found its start" in words
    assert (name in SEARCHING) <= (bool(told) and early)
    assert all(re.fullmatch(r"looking for a start, [1-9]\d* solves", note) for note in told)


SEARCHING = {"pcn", "hmc", "two-level"}
"""Engines that look for modes before their first step."""
OTHER_ENDS = (Ended.DRAWN.words, Ended.RUNNING.words, Ended.RUNNING.advice, "settled")
"""What a run that its budget ended must not say."""


def budgeted(name, solves, folder):
    """A run with a budget, or None where that ended it before there was anything to report."""
    try:
        return go(name, folder, budget=Budget(n_forward=solves))
    except RunFailed as none_yet:
        told = str(none_yet)
    assert told.endswith(f"; {Ended.BUDGET.advice}")
    return None


def assert_budget_is_told(found):
    """It is the one ending that the message names, with its one advice."""
    message = found.outcome.message
    assert found.exhausted == message.startswith("budget spent; ")
    assert found.exhausted == message.endswith(f"; {Ended.BUDGET.advice}")
    assert message.count(Ended.BUDGET.advice) == found.exhausted
    assert not found.exhausted or not [words for words in OTHER_ENDS if words in message]


@ALL
@pytest.mark.parametrize("solves", [5, 40])
def test_spent_budget_is_reported_and_a_larger_one_continues(name, solves, tmp_path):
    whole = go(name, tmp_path / "whole")
    part = budgeted(name, solves, tmp_path / "part")
    if part is not None:
        assert_budget_is_told(part)
        assert not (part.exhausted and part.outcome.converged)
        assert part.exhausted or whole.counters.n_forward <= 2 * solves
    assert_same(go(name, tmp_path / "part", resume=True), whole)


@pytest.mark.parametrize(
    ("name", "solves", "words"),
    [
        ("map", 1, "budget spent; newton-cg cut short after 0 iterations, "),
        ("map", 8, "; 0 of 3 searches are done; raise the budget"),
        ("laplace", 12, "; 1 of 8 searches found 1 distinct optimum; raise the budget"),
        ("database", 30, "budget spent; database cut short: the best of 32 of 200 simulations has"),
        ("database", 203, "; newton-cg cut short after 1 iterations, "),
        ("eki", 20, "20 at tempering time 0 after 0 updates; the posterior is at 1, so that"),
        ("emcee", 400, "budget spent; cut short after 8 of 12 draws: "),
        ("hmc", 200, "budget spent; cut short after 4 of 20 draws; raise the budget"),
        ("two-level", 6, "budget spent; cut short after 3 of 12 draws; raise the budget"),
        ("gauss-newton", 1, "noser cut short after 0 steps"),
    ],
)
def test_a_spent_budget_tells_how_far_the_engine_came(name, solves, words, tmp_path):
    found = budgeted(name, solves, tmp_path)
    assert found.exhausted
    assert_budget_is_told(found)
    assert words in found.outcome.message


KILLED = (
    inspect.getsource(disc)
    + """

import json, os, signal, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.model.learned import Estimate
from pdeinv.plugins import registry

def go(name, options, folder):
    case = LinearGaussian.example(np.random.default_rng(4), 3, 12)
    kind = registry.load("engines", name)
    engine = kind(kind.Config(**options))
    step, steps = engine.step, []

    def mortal(*arguments):
        steps.append(0)
        if len(steps) > 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments)

    engine.step = mortal
    coarse = replace(case, matrix=1.01 * case.matrix)
    build = disc if name == "d-bar" else lambda: case.posterior(coarse)
    if name == "linear-image":
        far = Estimate(np.full(3, 200.0), np.full(3, 0.5))
        build = lambda: replace(case.posterior(coarse), estimate=far)
    run(engine, build, Run(3, Path(folder), checkpoint_seconds=0))

for line in sys.stdin:
    child = os.fork()
    if not child:
        try:
            go(*json.loads(line))
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
)
"""A process that has loaded what runs need, and makes a copy of itself for each of them."""


@pytest.fixture(scope="module")
def killed():
    """Run an engine in a process that is killed at its third step; the exit code."""
    words, pipe = [sys.executable, "-c", KILLED], subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:

        def one(name, folder):
            print(json.dumps([name, OPTIONS[name], str(folder)]), file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield one


@ALL
def test_killed_run_resumes_to_the_same_bits(name, killed, tmp_path):
    whole = go(name, tmp_path / "whole")
    assert killed(name, tmp_path / "killed") == -9
    assert list((tmp_path / "killed").glob("chain*.state.npz"))
    assert_same(go(name, tmp_path / "killed", resume=True), whole)


@ALL
def test_checkpoint_at_every_step_changes_nothing(name, tmp_path):
    often = go(name, tmp_path / "often", checkpoint_seconds=0)
    assert_same(often, go(name, tmp_path / "rare"))


@ALL
def test_finished_run_resumes_without_another_solve_in_the_chains(name, tmp_path):
    first = go(name, tmp_path)
    assert_same(go(name, tmp_path, resume=True), first)


def test_pcn_about_the_laplace_approximation_resumes_to_the_same_bits(tmp_path):
    engine = make("pcn", proposal="laplace", searches=0)
    whole = go("pcn", tmp_path / "whole", engine=engine)
    part = go("pcn", tmp_path / "part", engine=engine, budget=Budget(n_forward=40))
    assert part.exhausted
    assert_same(go("pcn", tmp_path / "part", engine=engine, resume=True), whole)


@pytest.mark.parametrize(
    ("name", "more", "solves"),
    [
        ("hmc", {"draws": 30}, 330),
        ("pcn", {"draws": 200}, 300),
        ("pcn", {"draws": 200, "proposal": "laplace"}, 300),
        ("map", {"starts": 8}, 60),
        ("laplace", {"starts": 8}, 60),
    ],
)
def test_a_run_that_found_two_modes_resumes_to_the_same_bits(name, more, solves, tmp_path):
    def part(folder, **spec):
        return run(make(name, **more), two_modes, Run(seed=3, folder=tmp_path / folder, **spec))

    whole = part("whole")
    assert whole.outcome.summary["optima" if name in ("map", "laplace") else "modes"] == 2
    assert part("cut", budget=Budget(n_forward=solves)).exhausted
    assert_same(part("cut", resume=True), whole)


@pytest.mark.parametrize("name", [n for n in NAMES if "draws" in OPTIONS[n]])
def test_resume_to_more_draws_equals_asking_for_them_at_once(name, tmp_path):
    more = make(name, draws=2 * OPTIONS[name]["draws"])
    go(name, tmp_path / "grown")
    grown = go(name, tmp_path / "grown", engine=more, resume=True)
    assert_same(grown, go(name, tmp_path / "at once", engine=more))


def test_without_resume_old_checkpoints_are_dropped(tmp_path):
    first = go("pcn", tmp_path, checkpoint_seconds=0)
    stale = set(tmp_path.glob("chain*.npz"))
    again = go("pcn", tmp_path)
    assert_same(first, again)
    assert set(tmp_path.glob("chain*.npz")) < stale


@pytest.mark.parametrize(
    ("more", "spec"),
    [({"beta": 0.3}, {}), ({}, {"tag": {"data": "others"}}), ({}, {"seed": 4})],
    ids=["option", "data", "seed"],
)
def test_checkpoint_of_another_run_is_refused(more, spec, tmp_path):
    go("pcn", tmp_path)
    other = Run(**{"seed": 3, "folder": tmp_path, "resume": True, **spec})
    with pytest.raises(ConfigError, match="belong to another configuration, seed or data"):
        run(make("pcn", **more), BUILD, other)


@pytest.mark.parametrize("file", ["chain0.state.npz", "chain1.00000.npz", "run.json"])
@pytest.mark.parametrize("left", [0.0, 0.5, 0.95])
def test_truncated_checkpoint_is_one_clear_line(file, left, tmp_path):
    go("pcn", tmp_path)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[: int(left * len(content))])
    with pytest.raises(DataSchemaError, match="is damaged") as caught:
        go("pcn", tmp_path, resume=True)
    assert "\n" not in str(caught.value)
    assert "--overwrite" in str(caught.value)


def test_missing_chunk_is_one_clear_line(tmp_path):
    go("pcn", tmp_path)
    (tmp_path / "chain1.00000.npz").unlink()
    with pytest.raises(DataSchemaError, match=r"cannot read .*chain1\.00000\.npz: no such file"):
        go("pcn", tmp_path, resume=True)


def test_chunks_that_do_not_fit_together_are_one_clear_line(tmp_path):
    np.savez(tmp_path / "chain0.00000.npz", xi=np.zeros((2, 3)))
    np.savez(tmp_path / "chain0.00001.npz", xi=np.zeros((2, 4)))
    with pytest.raises(DataSchemaError, match=r"chunks of chain0 in .* do not fit together; start"):
        ChainStore(tmp_path, 0).records(2)


def test_second_run_in_the_same_folder_is_refused(tmp_path):
    def intrude(chain, step, n_steps, note):
        with pytest.raises(ConfigError, match="another run is writing"):
            go("pcn", tmp_path, resume=True)
        intruded.append(step)

    intruded = []
    go("pcn", tmp_path, intrude)
    assert intruded


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


PARALLEL = """
import sys
from functools import partial
from pathlib import Path
import numpy as np
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.engines.mcmc.pcn import Pcn, PcnConfig
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run

if __name__ == "__main__":
    case = LinearGaussian.example(np.random.default_rng(4), 3, 12)
    engine = Pcn(PcnConfig(chains=2, draws=int(sys.argv[2]), warmup=10))
    run(engine, case.posterior, Run(3, Path(sys.argv[1]), workers=2, checkpoint_seconds=0.02))
"""


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_killed_parent_takes_its_workers_along_and_the_run_resumes(tmp_path):
    script, folder = tmp_path / "script.py", tmp_path / "killed"
    script.write_text(PARALLEL)
    parent = subprocess.Popen([sys.executable, str(script), str(folder), "100000"])
    until(lambda: (folder / "chain0.state.npz").exists() and (folder / "chain1.state.npz").exists())
    workers = children(parent.pid)
    parent.kill()
    parent.wait()
    until(lambda: not any(_alive(pid) for pid in workers), 10)
    n = 500 + max(steps_saved(folder / f"chain{k}.state.npz") for k in range(2))
    engine = make("pcn", draws=n, thin=10)
    resumed = run(engine, CASE.posterior, Run(3, folder, resume=True))
    assert_same(resumed, run(engine, CASE.posterior, Run(3, tmp_path / "whole")))


def steps_saved(file):
    with np.load(file) as arrays:
        return json.loads(arrays["meta"].item())["step"]


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def parallel():
    """Engines with several chains; of the diffusion rules, which share their loop, two are fast."""
    for name in (n for n in NAMES if make(n).n_chains > 1):
        later = name in RULES and name not in ("dps", "pigdm")
        yield pytest.param(name, marks=[pytest.mark.slow] if later else [])


@pytest.mark.parametrize("name", list(parallel()))
def test_two_workers_give_the_same_bits_as_one(name, tmp_path):
    reports = []

    def note(chain, step, n_steps, text):
        reports.append((chain, step, n_steps))

    one = go(name, tmp_path / "one")
    two = run(make(name), BUILD, Run(3, tmp_path / "two", workers=2), note)
    assert_same(two, one)
    assert {chain for chain, _, _ in reports} == {0, 1}
