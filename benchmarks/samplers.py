"""Effective sample sizes per CPU second of hmc, pcn and two-level, beside peers on one model.

    python benchmarks/samplers.py --quick                     # some minutes
    python benchmarks/samplers.py --peers --before ../before  # eight CPU minutes
    python benchmarks/samplers.py --before ../before          # pcn and two-level beside before
    python benchmarks/samplers.py --only two-level --before ../before  # other rows stay
    $ENV/bin/python benchmarks/samplers.py --peers            # CUQIpy and tinyDA as well

Cases: Darcy on the unit square, 144 sensors, noise 2 % of the peak, data from a mesh twice as fine;
49 unknowns are a piecewise constant ln κ on 28 x 28 cells, 1024 are Karhunen-Loève modes of ln κ on
65 x 65 nodes. `hmc` runs with 8 and 16 chains in one process, whose solves are made together, and
one chain after another: with the model as it is, and with one that takes no rows.

Of each run: R-hat (the largest), rank-normalised bulk effective sample sizes of the unknowns, the
median and the least, and seconds of CPU on one thread, warm-up (with the search for the MAP point,
Laplace approximation and training) apart. Where R-hat is far from 1 they mean nothing. Building the
model is not counted. `--before` takes another checkout with its .venv; the two take turns.

The peers need an environment of their own, for numpy: with 2.5 CUQIpy's NUTS raises.

    python -m venv $ENV
    $ENV/bin/pip install "numpy==2.2.0" "scipy<1.17" "arviz>=1.3" "dolfinx-solver-real==0.11.*" \
        gmsh h5py typer rich xarray netcdf4 pydantic tomli-w emcee matplotlib safetensors tqdm
    $ENV/bin/pip install --no-deps cuqipy tinyda && $ENV/bin/pip install --no-deps -e .
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
from samplers_parts import judged, ours, peers  # noqa: E402
from samplers_parts.cases import CONFIGS, Case  # noqa: E402

ROOT = Path(__file__).parents[1]
LENGTHS = {
    # (warm-up, draws) of each chain
    49: {
        "hmc": (300, 1500), "pcn": (2000, 16000), "two-level": (10, 120),
        "CUQIpy NUTS, Laplace coordinates": (300, 1000), "CUQIpy MALA": (2000, 4000),
        "CUQIpy pCN": (3000, 6000), "tinyDA pCN": (3000, 6000),
    },
    1024: {
        "hmc": (150, 500), "CUQIpy NUTS, Laplace coordinates": (100, 200),
        "CUQIpy MALA": (800, 800), "CUQIpy pCN": (1000, 2000),
    },
}  # fmt: skip
QUICK = 0.3
"""Of the lengths."""

ONE_BY_ONE = 4
"""Chains that run one after another; more tell no more of a second."""

SELF_CHAINS = 8
"""Chains of pcn and two-level."""

PEER_CHAINS = 2
"""Chains of peers."""

BEST = ("hmc, 16 chains together", "hmc, 8 chains together")
ALONE = ("hmc, one after another", "hmc, one after another, no rows")
IN_CHECKOUTS = ("pcn", "two-level")
NUTS = "CUQIpy NUTS, Laplace coordinates"


def lengths(unknowns, quick):
    share = QUICK if quick else 1.0
    found = LENGTHS[unknowns]
    return {name: tuple(max(10, int(share * n)) for n in pair) for name, pair in found.items()}


def hmc_rows(posterior, length, seed, folder):
    """Chains together and one after another, in turns; what a first run loads is not theirs."""
    ours.together("hmc", "first", posterior, (5, 5), 2, seed, folder / "first")
    plain, common = ours.without_rows(posterior), (length, ONE_BY_ONE, seed, folder)
    yield ours.together("hmc", BEST[1], posterior, length, 8, seed, folder)
    yield ours.one_by_one("hmc", ALONE[0], posterior, *common)
    yield ours.together("hmc", BEST[0], posterior, length, 16, seed, folder)
    yield ours.one_by_one("hmc", ALONE[1], plain, *common)


def peer_rows(posterior, sizes, seed):
    rng = np.random.default_rng(seed)
    start = peers.approximation(posterior, rng)
    starts = [start.unwhiten(rng.standard_normal(posterior.dim)) for _ in range(PEER_CHAINS)]
    for name in peers.PEERS:
        if name in sizes:
            yield peers.sampled(name, posterior, starts, sizes[name], seed)


def checkout_rows(roots, sizes, seed, names):
    """pcn and two-level of each checkout, each run in a process of its own, in turns."""
    for name in names:
        for label, root in roots.items():
            asked = json.dumps([name, f"{name}{label}", sizes[name], SELF_CHAINS, seed])
            command = [root / ".venv/bin/python", __file__, "--child", asked]
            done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            yield json.loads(done.stdout.splitlines()[-1])


def child(asked):
    """What a checkout is asked for."""
    name, label, length, chains, seed = json.loads(asked)
    with TemporaryDirectory() as folder:
        found = ours.of_checkout(name, label, Case(49), length, chains, seed, Path(folder))
    print(json.dumps(found))


def measured(unknowns, options, folder):
    """All rows of a case."""
    sizes, found, seed = lengths(unknowns, options.quick), [], options.seed

    def take(rows):
        for row in rows:
            found.append(row)
            for line in judged.table([row]):
                print(line, flush=True)

    if not options.only:
        posterior = Case(unknowns).posterior()
        take(hmc_rows(posterior, sizes["hmc"], seed, folder))
        if options.peers:
            take(peer_rows(posterior, sizes, seed))
    if unknowns == 49:
        roots = {"": ROOT} | ({", before": options.before.resolve()} if options.before else {})
        take(checkout_rows(roots, sizes, seed, options.only or IN_CHECKOUTS))
    return found


def with_kept(unknowns, rows, out):
    """The rows of an earlier call with these in their places."""
    before = {case["unknowns"]: case["rows"] for case in json.loads(out.read_text())}
    new = {r["method"]: r for r in rows}
    return [new.pop(r["method"], r) for r in before.get(unknowns, [])] + list(new.values())


def ratios(rows):
    """The comparisons that are asked for, as far as both sides ran."""
    names = {r["method"] for r in rows}
    pairs = [(one, other) for one in BEST for other in (*ALONE, NUTS)]
    pairs += [(name, f"{name}, before") for name in IN_CHECKOUTS]
    return [
        {"one": one, "other": other, **judged.ratio(rows, one, other)}
        for one, other in pairs
        if {one, other} <= names
    ]


def shown(unknowns, rows):
    print(f"\n{unknowns} unknowns")
    for line in judged.table(rows):
        print(line)
    for r in ratios(rows):
        texts = (f"{which} {r[which][0]:.2f}, {r[which][1]:.2f}" for which in ("draws", "all"))
        print(f"  {r['one']} / {r['other']}: " + "; ".join(texts))


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peers", action="store_true", help="CUQIpy and tinyDA too")
    parser.add_argument("--only", nargs="+", choices=IN_CHECKOUTS, help="other rows stay")
    parser.add_argument("--before", type=Path, help="another checkout with its .venv")
    parser.add_argument("--unknowns", type=int, nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/samplers.json")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parsed()
    if options.child:
        child(options.child)
        return
    cases = [49] if options.only else options.unknowns
    why = peers.missing() if options.peers else None
    if why:
        print(f"no peers: {why}; the docstring of this file makes their environment")
        options.peers = False
    found = []
    with TemporaryDirectory() as scratch:
        for unknowns in cases:
            folder = Path(scratch) / str(unknowns)
            rows = measured(unknowns, options, folder)
            if options.only and options.out.exists():
                rows = with_kept(unknowns, rows, options.out)
            found.append({"unknowns": unknowns, "rows": rows, "ratios": ratios(rows)})
    for case in found:
        shown(case["unknowns"], case["rows"])
    if options.only and options.out.exists():
        found += [c for c in json.loads(options.out.read_text()) if c["unknowns"] not in cases]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
