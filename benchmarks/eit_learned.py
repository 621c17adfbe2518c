"""Learned and classical reconstructions from boundary maps, side by side.

    python benchmarks/eit_learned.py work            # goes on where it was stopped
    python benchmarks/eit_learned.py work --pairs 1024 --epochs 30 --cases 3
    python benchmarks/eit_learned.py work --only lin-fno eit-transformer --minutes 20 --injections 8
    python benchmarks/eit_learned.py work --only lin-fno inverse-unet --members 4 --shifts
    python benchmarks/eit_learned.py work --only lin-fno nio --minutes 20 --seeds 3
    python benchmarks/eit_learned.py work --only lin-fno nio --points 256,512,1024,2048,4096,8192
    python benchmarks/eit_learned.py work --protocol trigonometric --only lin-fno nio --minutes 20

Protocol ``chests``: hearts and lungs from Dirichlet-to-Neumann maps of the unit disc in 32
trigonometric functions (1024 data). ``trigonometric``: smooth fields (log-Gaussian of length .3 and
smoothness 3.5, sd .5) from those of the unit square in 20 functions of the arc length (400 data).
Both as a difference to the map of the constant 1. Training: maps of prior draws from the mesh of
level 0, images on 32 x 32 nodes of the bounding box, noise drawn anew in every epoch at 0.2 to 5 %
of the rms of all data. Test: maps of other draws from the mesh of level 1, noise of 0, 1 and 5 % of
that rms; where there is none, methods are told 0.2 %. Errors are relative to each truth, medians
over cases, on 32 x 32 nodes where the truth is sharp to its edge: polar ones (theta, r) of the
disc, where ``area`` weighs nodes by r and ``polar`` does not, and cells of the square. The floor is
the truth itself on the 32 x 32 nodes. Gauss-Newton, D-bar and the polish see the first few cases
alone. ``--minutes`` gives each network as many epochs as one thread does in so many CPU minutes, by
trainings of one and of three epochs; ``--injections`` tests on that many of the functions as well,
evenly chosen; ``--seeds`` trains each network so many times; ``--points`` are numbers of pairs;
``--shifts`` tests networks on chests unlike those of the training, at 1 % noise.

Every row is kept in WORK/rows.json as soon as it is there; what is missing is printed at the end.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from learned_parts.kept import Kept, command, epochs_within
from learned_parts.protocols import NODES, PROTOCOLS, Protocol
from scipy.stats import beta

from pdeinv.bayes.noise import Noise
from pdeinv.config import dump_toml
from pdeinv.io import datasets, netcdf
from pdeinv.io.observations import Observations, to_dataset
from pdeinv.jobs.invert.run import Inversion, invert
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.provenance import attributes
from pdeinv.rng import stream

SEED = 11
TESTS = 100
LEVELS = (0.0, 0.01, 0.05)
STATED = 0.002
"""σ that methods are told where data have no noise, as a share of the rms of all data."""


@dataclass(frozen=True)
class Member:
    """A row of the table that is trained: the surrogate and its options."""

    label: str
    surrogate: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def trains(self) -> bool:
        """Whether there is a network."""
        return self.surrogate not in ("average-image", "linear-image")

    @property
    def takes_parts(self) -> bool:
        """Whether it can be asked with fewer functions than it was trained with."""
        return self.surrogate not in ("inverse-deeponet", "inverse-fcnn")

    @property
    def folder(self) -> str:
        return self.label.replace(" ", "-")


MEMBERS = (
    Member("mean image", "average-image", {"statistic": '"mean"'}),
    Member("median image", "average-image"),
    Member("ridge", "linear-image", {"method": '"ridge"'}),
    Member("Wiener", "linear-image"),
    Member("lin-fno", "lin-fno", {"members": 1}),
)
OPERATORS = (
    Member("inverse-unet", "inverse-unet"),
    Member("eit-transformer", "eit-transformer"),
    Member("inverse-deeponet", "inverse-deeponet"),
    Member("inverse-fcnn", "inverse-fcnn"),
    Member("nio", "nio"),
    Member("nio as published", "nio", {"form": '"paper"'}),
)
"""Last, since they take the longest to learn anything."""
POLISHED = ("lin-fno + polish", "lin-fno")


@dataclass
class Bench(Kept):
    """With the test cases and what is wanted of them."""

    cases: int
    only: tuple[str, ...] = ()
    minutes: float | None = None
    members: int | None = None
    injections: int | None = None
    protocol: str = "chests"
    seed: int = SEED
    shifts: bool = False

    @property
    def there(self) -> Protocol:
        """Body, currents and law."""
        return PROTOCOLS[self.protocol]

    @property
    def data(self) -> Path:
        """The pairs of this protocol."""
        return self.work / f"pairs-{self.there.prefix.replace(', ', '-')}{self.pairs}.nc"

    def problem(self) -> Any:
        """That of trainings and tests."""
        return make_problem("eit", self.there.training)

    def wants(self, label: str) -> bool:
        """Whether a row is asked for."""
        return not self.only or label in self.only

    @cached_property
    def scale(self) -> float:
        """The rms of all data of the training."""
        return float(np.sqrt(np.mean(datasets.read(self.data).values ** 2)))

    @cached_property
    def tests(self) -> tuple[np.ndarray, np.ndarray]:
        """Unknowns of the test and their data without noise, from the finer mesh."""
        path = self.work / f"{self.there.prefix.replace(', ', '-')}tests.npz"
        if not path.exists():
            problem = self.problem()
            prior = problem.prior()
            ms = prior.unwhiten(stream(SEED, "test").standard_normal((TESTS, prior.dim)))
            model = problem.forward_model(problem.sensors("all"), 1)
            np.savez(path, m=ms, values=np.stack([model(m) for m in ms]))
        with np.load(path) as found:
            return found["m"], found["values"]

    def noisy(self, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Test data at a level, and σ as methods are told."""
        _, values = self.tests
        noise = stream(SEED, f"noise-{level}").standard_normal(values.shape)
        sigma = max(level, STATED) * self.scale
        return values + level * self.scale * noise, np.full(values.shape[1], sigma)


def prepare(bench: Bench) -> None:
    """The pairs."""
    bench.work.mkdir(parents=True, exist_ok=True)
    run = bench.work / "run.toml"
    run.write_text(dump_toml({"problem": {"name": "eit", **bench.there.training}}))
    if not bench.data.exists():
        spent = command("generate", "-c", run, "--sensors", "all", "--n", bench.pairs, "--grid",
                        f"{NODES}x{NODES}", "--seed", SEED, "--out", bench.data)  # fmt: skip
        bench.keep(f"{bench.there.prefix}pairs {bench.pairs}", {"cpu_seconds": round(spent, 1)})


def key_of(bench: Bench, label: str) -> str:
    several = f" x {bench.members}" if bench.members else ""
    budget = f", {bench.minutes:g} min" if bench.minutes else ""
    again = f", seed {bench.seed - SEED + 1}" if bench.seed > SEED else ""
    return f"{bench.there.prefix}{label}{several}, {bench.pairs} pairs{budget}{again}"


def options_of(bench: Bench, member: Member) -> dict[str, Any]:
    """Those of the surrogate, with as many epochs as are asked for."""
    if not member.trains:
        return member.options
    more = {"members": bench.members} if bench.members else {}
    options = {**member.options, **more, "epochs": bench.epochs}
    if bench.minutes is None:
        return options
    epochs = epochs_within(
        bench.minutes, lambda n: spent_on(bench, member, {**options, "epochs": n})
    )
    return {**options, "epochs": epochs, "patience": epochs}


def spent_on(bench: Bench, member: Member, options: dict[str, Any]) -> float:
    """CPU seconds of a training that nobody keeps."""
    return taught(bench, member, options, bench.work / f"{member.folder}-trial", resume=False)


def taught(
    bench: Bench, member: Member, options: dict[str, Any], folder: Path, *, resume: bool
) -> float:
    """Train into a folder; CPU seconds."""
    flags = [w for k, v in options.items() for w in ("--set", f"surrogate.{k}={v}")]
    flags += ["--noise-std", str(0.01 * bench.scale), "--resume" if resume else "--overwrite"]
    return command("train-surrogate", member.surrogate, "--data", bench.data, "--seed", bench.seed,
                   *flags, "--out", folder)  # fmt: skip


def train(bench: Bench, member: Member) -> Path:
    """The trained member; kept, with its CPU seconds."""
    key = f"training of {key_of(bench, member.label)}"
    folder = bench.work / key_of(bench, member.label).replace(", ", "-").replace(" ", "-")
    if key in bench.rows:
        return folder
    options = options_of(bench, member)
    begun = (folder.parent / f"{folder.name}.run").exists()
    spent = taught(bench, member, options, folder, resume=begun)
    facts = load_surrogate(folder).metadata
    more = {k: facts["extra"][k] for k in ("epochs", "parameters") if k in facts["extra"]}
    bench.keep(key, {"cpu_seconds": round(spent, 1), **more, **facts["errors"]})
    return folder


def truths(bench: Bench) -> np.ndarray:
    """Conductivities of the tests at the judged nodes."""
    return bench.there.truths(bench.there.law, bench.tests[0])


def learned(bench: Bench, member: Member) -> None:
    """Every level of one member on all test cases."""
    folder = train(bench, member)
    asked_of(bench, folder, key_of(bench, member.label), "all")
    if bench.injections and member.takes_parts and not member.label.startswith("nio as"):
        last = bench.there.functions - 1
        which = np.unique(np.linspace(0, last, bench.injections).astype(int))
        label = f"{key_of(bench, member.label)}, {len(which)} injections"
        asked_of(bench, folder, label, "injections:" + ",".join(map(str, which)))
    if bench.shifts and member.trains:
        off_family(bench, folder, key_of(bench, member.label))


def asked_of(bench: Bench, folder: Path, label: str, spec: str) -> None:
    """Every level of a trained member, for the data that some sensors measure."""
    named = {v: f"{label}, noise {100 * v:g} %" for v in LEVELS}
    if all(key in bench.rows for key in named.values()):
        return
    problem, truth = bench.problem(), truths(bench)
    sensors = problem.sensors(spec)
    entry = problem.protocol.rows(sensors)
    chosen = bench.there.functions * entry.row + entry.column  # data of all are row by row
    bound = load_surrogate(folder).bind(problem, problem.prior(), sensors)
    for level, key in named.items():
        data, sigma = bench.noisy(level)
        bench.keep(key, judged(bench, bound(data[:, chosen], sigma[chosen]), truth))


def judged(bench: Bench, found: Any, truth: np.ndarray) -> dict[str, float]:
    """Errors of images, how many were flagged, and the share of truths in their bands."""
    matrix = bench.there.from_grid(NODES)
    image, std = (matrix @ found.mean.T).T, (matrix @ found.std.T).T
    covered = np.abs(image - truth) <= 1.645 * std
    flagged = float(np.mean(found.likeness < 0.05))
    return {**bench.there.errors(image, truth), "flagged": flagged,
            "held_by_bands": round(float(covered.mean()), 3)}  # fmt: skip


def floor(bench: Bench) -> None:
    """The truth on the nodes of the images."""
    key, problem = f"{bench.there.prefix}floor", bench.problem()
    if key in bench.rows:
        return
    held = np.stack([problem.on_grid(m, (NODES, NODES)).ravel() for m in bench.tests[0]])
    found = (bench.there.from_grid(NODES) @ held.T).T
    bench.keep(key, bench.there.errors(found, truths(bench)))


def shifted(ms: np.ndarray) -> dict[str, np.ndarray]:
    """Chests unlike those of the training, as numbers (n, 6, ellipses) of ellipses."""
    chests = ms.reshape(len(ms), 6, 3)
    doubled, turned = chests.copy(), chests.copy()
    doubled[:, 0] = chests[:, 0] ** 2  # the background is 1
    angle = np.pi / 32  # half of what separates 32 electrodes
    x, y = chests[:, 1], chests[:, 2]
    turned[:, 1] = np.cos(angle) * x - np.sin(angle) * y
    turned[:, 2] = np.sin(angle) * x + np.cos(angle) * y
    turned[:, 5] += np.rad2deg(angle)
    rng, n = stream(SEED, "third"), len(ms)
    low = np.array([1.5, -0.1, -0.7, 0.1, 0.1, 0.0])
    third = rng.uniform(low, [2.5, 0.1, -0.5, 0.2, 0.2, 180.0], (n, 6))
    more = np.concatenate([chests, third[:, :, None]], axis=2)
    return {"contrast x 2": doubled, "turned by half a spacing": turned, "another organ": more}


def unlike(bench: Bench, label: str, chests: np.ndarray) -> tuple[np.ndarray, ...]:
    """Truths at the judged nodes, data with 1 % noise from the finer mesh, and its σ."""
    unknown = {"kind": "ellipses", "count": chests.shape[2]}
    other = make_problem("eit", {**bench.there.body, "unknown": unknown})
    model = other.forward_model(other.sensors("all"), 1)
    values = np.stack([model(m.ravel()) for m in chests])
    sigma = np.full(values.shape[1], 0.01 * bench.scale)
    noise = sigma * stream(SEED, f"flags-{label}").standard_normal(values.shape)
    ms = chests.reshape(len(chests), -1)
    return bench.there.truths(unknown, ms), values + noise, sigma


def off_family(bench: Bench, folder: Path, named: str) -> None:
    """Errors, bands and flags of a trained member on chests unlike those of the training."""
    problem = bench.problem()
    bound = load_surrogate(folder).bind(problem, problem.prior(), problem.sensors("all"))
    for label, chests in shifted(bench.tests[0]).items():
        key = f"{named}, {label}, 1 % noise"
        if key not in bench.rows:
            truth, data, sigma = unlike(bench, label, chests)
            bench.keep(key, judged(bench, bound(data, sigma), truth))


def flags(bench: Bench) -> None:
    """How many of data unlike the training's are flagged at 1 % noise; Wiener's, as all others'."""
    folder, problem = train(bench, MEMBERS[3]), bench.problem()
    bound = load_surrogate(folder).bind(problem, problem.prior(), problem.sensors("all"))
    prior = problem.prior()
    fresh = prior.unwhiten(stream(SEED, "flags").standard_normal((300, prior.dim)))
    cases = {"the family": fresh.reshape(-1, 6, 3), **shifted(bench.tests[0])}
    for label, chests in cases.items():
        key = f"flagged of {label}, 1 % noise, {bench.pairs} pairs"
        if key in bench.rows:
            continue
        _, data, sigma = unlike(bench, label, chests)
        share = float(np.mean(bound(data, sigma).likeness < 0.05))
        above = beta.ppf(0.95, share * len(chests) + 1, len(chests) * (1 - share) + 1e-9)
        said = {"share": round(share, 3), "upper_95": round(float(above), 3), "n": len(chests)}
        bench.keep(key, said)


def inverted(bench: Bench, label: str, tables: dict[str, Any]) -> None:
    """An engine on the first cases, through observation files and the verb itself."""
    there, truth = bench.there, truths(bench)
    problem = make_problem("eit", there.searched)
    sensors = problem.sensors("all")
    for level in LEVELS:
        key = f"{label}, noise {100 * level:g} %, {bench.cases} cases"
        if key in bench.rows:
            continue
        data, sigma = bench.noisy(level)
        images, begun, misfits, spent = [], [], [], 0.0
        for k in range(bench.cases):
            path = bench.work / "obs.nc"
            seen = Observations(problem.observed, data[k], sensors, Noise(sigma))
            netcdf.write(path, to_dataset(seen, attributes({}, SEED)))
            inversion = Inversion.resolve(
                {"seed": SEED, "problem": {"name": "eit", **there.searched}, **tables}, path
            )
            tree = invert(inversion, bench.work / "result.nc", overwrite=True)
            images.append(tree["estimates"]["conductivity_mean"].values.ravel())
            if "learned" in tree.children:
                begun.append(tree["learned"]["conductivity_mean"].values.ravel())
            misfits.append(float(tree["sample_stats"]["misfit"].mean()) / len(sigma))
            spent += float(tree.attrs["pdeinv_cpu_seconds"])
        matrix = there.from_grid(33)
        found = (matrix @ np.stack(images).T).T
        more = {"misfit_per_datum": round(float(np.median(misfits)), 3),
                "cpu_seconds_each": round(spent / bench.cases, 2)}  # fmt: skip
        if begun:
            before = there.errors((matrix @ np.stack(begun).T).T, truth[: bench.cases])
            more |= {f"{k}_of_estimate": v for k, v in before.items()}
        bench.keep(key, {**there.errors(found, truth[: bench.cases]), **more})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--protocol", choices=PROTOCOLS, default="chests")
    parser.add_argument("--pairs", type=int, default=2048)
    parser.add_argument("--points", type=lambda t: [int(n) for n in t.split(",")], help="of pairs")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--cases", type=int, default=8, help="of Gauss-Newton, D-bar and polish")
    parser.add_argument("--only", nargs="+", default=(), metavar="LABEL", help="rows alone")
    parser.add_argument("--minutes", type=float, help="CPU minutes of each training")
    parser.add_argument("--members", type=int, help="networks of each kind, where it has several")
    parser.add_argument("--injections", type=int, help="test with so many functions as well")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each network")
    parser.add_argument("--shifts", action="store_true", help="networks on other chests too")
    given = vars(parser.parse_args())
    points, seeds = given.pop("points") or [given["pairs"]], given.pop("seeds")
    if given["shifts"] and given["protocol"] != "chests":
        parser.error("--shifts are of chests")
    for pairs in points:
        everything(Bench(**{**given, "pairs": pairs}), seeds)
    print("all rows are there; other numbers of pairs: --pairs, longer trainings: --epochs")


def everything(bench: Bench, seeds: int) -> None:
    """All rows of one number of pairs that are asked for."""
    prepare(bench)
    floor(bench)
    for member in (*MEMBERS, *OPERATORS):
        if bench.wants(member.label):
            for k in range(seeds if member.trains else 1):
                learned(replace(bench, seed=SEED + k), member)
    if bench.wants("flags") and bench.protocol == "chests":
        flags(bench)
    one_by_one(bench)


def one_by_one(bench: Bench) -> None:
    """Polish, fitted prior and classical engines, on the first cases."""
    if bench.wants(POLISHED[0]):
        polish = {"name": POLISHED[1], "polish": "gauss-newton", "max_iterations": 8}
        tables = {"engine": polish, "surrogate": {"path": str(train(bench, MEMBERS[4]))}}
        inverted(bench, key_of(bench, POLISHED[0]), tables)
    if bench.wants("fitted-prior MAP"):
        fitted = {"name": "average-image", "polish": "family", "max_iterations": 8}
        tables = {"engine": fitted, "surrogate": {"path": str(train(bench, MEMBERS[0]))}}
        inverted(bench, key_of(bench, "fitted-prior MAP"), tables)
    for label, engine in bench.there.classical.items():
        if bench.wants(label):
            inverted(bench, f"{bench.there.prefix}{label}", {"engine": dict(engine)})


if __name__ == "__main__":
    main()
