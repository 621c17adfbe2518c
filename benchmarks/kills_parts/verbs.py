"""The verbs that are stopped: their command lines, and the phases in which it happens.

A phase of the work is a range of the fraction that the progress on the terminal shows. The others:

- `start`: some time while all is loaded;
- `opened`: as soon as the run folder, or the lock, is there;
- `write`: while a scratch folder stands beside the output;
- `again`: stopped by SIGTERM at the same place as in the last phase of the work, resumed, and now
  stopped once more.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

Span = tuple[float, float]
EARLY, WORK = ("start", "opened"), {"work": (0.02, 0.98)}
BRIEF = {"work": (0.0, 0.01)}
"""Of engines that end long before the most steps that they may take."""


@dataclass(frozen=True)
class Verb:
    """One command line that is stopped.

    Attributes:
        name: in the table.
        line: the words after `pdeinv`, without `--out`.
        out: the output.
        spans: phases of the work by the fraction that is done.
        resumes: whether it has an option `--resume`.
        other: further phases.
        launch: what starts the command.
        whole: whether a signal goes to all of its processes, as schedulers send it.
        option: which names the output.
        batches: of a data set.
    """

    name: str
    line: str
    out: str
    spans: Mapping[str, Span] = field(default_factory=dict)
    resumes: bool = True
    other: tuple[str, ...] = (*EARLY, "write", "again")
    launch: tuple[str, ...] = ()
    whole: bool = False
    option: str = "--out"
    batches: int = 40

    @property
    def verb(self) -> str:
        """What it is counted as: with all engines, kinds, workers and ranks."""
        return self.name if self.name.startswith("solve") else self.name.split()[0].strip(",")

    @property
    def long(self) -> bool:
        """Whether there is more to stop than loading and writing."""
        return "opened" in self.phases

    @property
    def phases(self) -> tuple[str, ...]:
        """In the order in which they come."""
        return tuple(
            p for p in (*EARLY, *self.spans, "write", "again") if p in (*self.other, *self.spans)
        )

    @property
    def last_span(self) -> Span:
        """The fraction at which a run is stopped that is to be stopped again."""
        return list(self.spans.values())[-1]

    def words(self, *more: str) -> list[str]:
        """The whole command line."""
        program = [sys.executable, "-m", "pdeinv", *self.line.split(), self.option, self.out]
        return [*self.launch, *program, *more]


def engine(name: str, options: str, spans: Mapping[str, Span], obs: str = "obs.nc") -> Verb:
    """An inversion."""
    line = f"invert {obs} --engine {name} --seed 7 {options}"
    return Verb(f"invert {name}", line, "o.nc", spans)


def training(name: str, options: str, more: str = "") -> Verb:
    """A training of one kind of surrogate."""
    sets = " ".join(f"--set surrogate.{o}" for o in options.split())
    line = f"train-surrogate {name} --data data.nc --seed 7 {sets} {more}"
    return Verb(f"train-surrogate {name}", line, "T", {"training": (0.02, 0.98)})


def changed(verb: Verb, name: str, more: str = "", **facts: object) -> Verb:
    """A verb with other words."""
    return replace(verb, name=name, line=f"{verb.line} {more}".strip(), **facts)  # type: ignore[arg-type]


def ranks() -> tuple[str, ...]:
    """What starts two MPI ranks; nothing where there is no mpiexec."""
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    return () if found is None else (found, "-n", "2")


PCN = engine(
    "pcn", "--draws 4000 --chains 2 --set engine.warmup=3000 --set engine.thin=1",
    {"warm-up": (0.02, 0.38), "drawing": (0.42, 0.98)},
)  # fmt: skip
TWO_LEVEL = engine(
    "two-level", "--draws 60 --chains 2 --set engine.warmup=40 --set engine.subchain=10",
    {"training": (-1.0, 0.0), "drawing": (0.02, 0.98)},
)  # fmt: skip
GENERATE = Verb("generate", "generate --obs obs.nc --n 640 --seed 7", "d.nc", WORK)
SHORT = {"resumes": False, "other": ("start", "write"), "spans": {}}
LATENT = training("latent", "epochs=30 patience=30")

VERBS = (
    PCN,
    changed(PCN, "invert pcn --workers 2", "--workers 2"),
    changed(PCN, "invert pcn --workers 2, all processes", "--workers 2", whole=True),
    engine("hmc", "--draws 150 --chains 2 --set engine.warmup=150",
           {"warm-up": (0.02, 0.45), "drawing": (0.52, 0.98)}),
    TWO_LEVEL,
    changed(TWO_LEVEL, "invert two-level --surrogate", "--surrogate S",
            spans={"drawing": (0.02, 0.98)}),
    engine("emcee", "--draws 600 --set engine.warmup=400",
           {"warm-up": (0.02, 0.38), "drawing": (0.42, 0.98)}),
    engine("eki", "--set engine.ensemble_size=4000", BRIEF, "many.nc"),
    engine("map", "", BRIEF, "many.nc"),
    engine("laplace", "", BRIEF, "many.nc"),
    engine("gauss-newton", "", BRIEF, "many.nc"),
    engine("cma", "", BRIEF, "many.nc"),
    engine("gaussian", "--draws 3000", BRIEF, "linear.nc"),
    engine("d-bar", "", BRIEF, "map.nc"),
    engine("pinn", "--set engine.adam_steps=250 --set engine.block=50"
           " --set engine.newton_steps=20 --set engine.newton_block=5", {"work": (0.05, 0.6)}),
    GENERATE,
    changed(GENERATE, "generate --workers 2, all processes", "--workers 2", whole=True),
    changed(GENERATE, "generate, 2 MPI ranks", "--executor mpi", launch=ranks(), whole=True),
    LATENT,
    changed(LATENT, "train-surrogate latent --devices 2", "--devices 2"),
    training("fno", "epochs=4"),
    training("ensemble", "members=3 options.epochs=20"),
    changed(training("gp", ""), "train-surrogate gp", spans={}, other=(*EARLY, "write")),
    Verb("solve --solver pinn",
         "solve --config small.toml --seed 7 --solver pinn --set solver.adam_steps=500"
         " --set solver.newton_steps=40", "o.nc", WORK),
    Verb("evaluate", "evaluate S --obs obs.nc --seed 7 --n 2000 --figure e.png", "e.nc", WORK,
         resumes=False, other=(*EARLY, "write")),
    Verb("solve", "solve --config small.toml --seed 7", "o.nc", {}, True, ("start", "write")),
    Verb("observe", "observe truth.nc --sensors all --noise-rel 0.1 --seed 7", "o.nc", **SHORT),
    Verb("plot", "plot lap.nc", "o.png", **SHORT),
    Verb("export", "export lap.nc", "o.vtkhdf", {}, False, ("start", "write"), option="--vtk"),
)  # fmt: skip
