"""How a checkout is built: rooms, arrows, layers, circles, statements, and frames of one run.

    python benchmarks/structure.py                      # this checkout; some seconds
    python benchmarks/structure.py --root ../other      # another one, run by its own .venv
    python benchmarks/structure.py --modules --circles  # each room's arrows; what closes circles
    python benchmarks/structure.py --no-frames --json   # without the run; for programs

Room: a folder that holds a module which says more than a docstring; `pdeinv/__init__.py` alone
makes none. With `--flat` each module that lies directly in `pdeinv/` is a room of its own.
Arrow: an ordered pair of rooms, where a module of the first imports one of the second by an import
statement, also inside a function, but not under `if TYPE_CHECKING`. `from a import b` leads to the
room of module `a.b` if there is one, else to that of `a`; a folder stands for its `__init__`. Not
counted: what `pdeinv/__init__` imports, modules named in a string (`import_module`, entry points),
and the `__init__`s that Python runs on the way to a module.
Layers: rooms on the longest path of arrows, where those of a circle are one. Circle: rooms (or
modules) that all reach each other. A package's row counts what lies within it, and in `out` its
arrows to rooms of the others; the row `all` takes the packages together.
Statements: `ast.stmt` nodes without bare strings, which are docstrings of modules, classes,
functions and attributes. The kit is `pdeinv/plugins/conformance*`.
Frames: the project's own, from the verb's function to `Noise.misfit`, both included, on the stack
of `pdeinv invert examples/darcy/obs.nc` by pcn in one process.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from traceback import walk_stack

FOLDERS = {"pdeinv": "pdeinv"} | {n: f"pdeinv.{n}" for n in ("surrogates", "problems", "cli")}
PACKAGES = ("core", "surrogates", "problems", "cli")
VERB = "invert"

Graph = dict[str, set[str]]
Places = dict[tuple[str, str], list[str]]
"""By (importing, imported): the places of the import statements, as file:line."""


@dataclass
class Module:
    """One file: its dotted name as installed, that of its folder, its room, and what it holds."""

    name: str
    folder: str
    room: str
    path: Path
    tree: ast.Module
    statements: int


@dataclass
class Structure:
    """A checkout: its modules, the imports between them, its rooms, the arrows between those."""

    modules: dict[str, Module]
    imports: Places
    rooms: set[str]
    arrows: Places


def within(name: str, package: str) -> bool:
    second = [*name.split("."), ""][1]
    return package in ("all", second if second in PACKAGES else "core")


def is_text(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def read_modules(root: Path, flat: bool = False) -> Iterator[Module]:
    for place, package in FOLDERS.items():
        for path in sorted((root / place).rglob("*.py")):
            parts = path.relative_to(root / place).with_suffix("").parts
            folder = ".".join([package, *parts[:-1]])
            name = folder if parts[-1] == "__init__" else f"{folder}.{parts[-1]}"
            tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
            size = sum(isinstance(n, ast.stmt) and not is_text(n) for n in ast.walk(tree))
            room = name if flat and folder == "pdeinv" else folder
            yield Module(name, folder, room, path.relative_to(root), tree, size)


def run_time(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements below ``node`` that can run."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    test = node.test if isinstance(node, ast.If) else None
    typing_only = "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))
    for child in node.orelse if typing_only else ast.iter_child_nodes(node):
        yield from run_time(child)


def targets(statement: ast.Import | ast.ImportFrom, folder: str) -> list[str]:
    """The dotted names that a statement loads: modules, or names in modules."""
    module, level = getattr(statement, "module", None), getattr(statement, "level", 0)
    parts = folder.split(".")
    base = [*parts[: len(parts) - level + 1 if level else 0], *([module] if module else [])]
    return [".".join([*base, alias.name]) for alias in statement.names]


def imports_of(modules: dict[str, Module]) -> Places:
    """By (module, module); a target without statements has nothing that could be imported."""
    found: Places = defaultdict(list)
    for module in modules.values():
        for statement in run_time(module.tree) if module.name != "pdeinv" else ():
            names = targets(statement, module.folder)
            ends = {name if name in modules else name.rpartition(".")[0] for name in names}
            for end in sorted(ends & modules.keys() - {module.name}):
                if modules[end].statements:
                    found[module.name, end].append(f"{module.path}:{statement.lineno}")
    return dict(found)


def examine(root: Path, flat: bool) -> Structure:
    modules = {module.name: module for module in read_modules(root, flat)}
    imports, arrows = imports_of(modules), defaultdict(list)
    for (source, end), places in imports.items():
        pair = modules[source].room, modules[end].room
        if pair[0] != pair[1]:
            arrows[pair] += [f"{place}: {source} -> {end}" for place in places]
    rooms = {m.room for m in modules.values() if m.statements and m.name != "pdeinv"}
    return Structure(modules, imports, rooms, arrows)


def graph_of(pairs: Places, package: str) -> Graph:
    """What each node points to, within a package."""
    kept = [(a, b) for a, b in pairs if within(a, package) and within(b, package)]
    return {node: {b for a, b in kept if a == node} for node, _ in kept}


def reached(graph: Graph, start: str) -> set[str]:
    """What a path of at least one arrow leads to."""
    seen, todo = set(), [start]
    while todo:
        new = graph.get(todo.pop(), set()) - seen
        seen |= new
        todo += new
    return seen


def circles_of(graph: Graph) -> list[list[str]]:
    """The strongly connected components with more than one node."""
    reach = {node: reached(graph, node) for node in graph}
    found = {frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in graph}
    return sorted(sorted(circle) for circle in found if len(circle) > 1)


def layers_of(graph: Graph, nodes: Iterable[str]) -> int:
    """Nodes on the longest path, each circle taken as one."""
    head = {node: circle[0] for circle in circles_of(graph) for node in circle}
    below: Graph = defaultdict(set)
    for source, ends in graph.items():
        below[head.get(source, source)] |= {head.get(end, end) for end in ends}

    @cache
    def depth(node: str) -> int:
        return 1 + max((depth(end) for end in below.get(node, set()) - {node}), default=0)

    return max((depth(head.get(node, node)) for node in nodes), default=0)


def figures(structure: Structure, package: str) -> dict[str, int | list[list[str]]]:
    """The row of one package, or of ``all``."""
    members = [m for m in structure.modules.values() if within(m.name, package)]
    kit = [m for m in members if m.name.startswith("pdeinv.plugins.conformance")]
    between = graph_of(structure.arrows, package)
    imports = graph_of(structure.imports, package)
    rooms = [room for room in structure.rooms if within(room, package)]
    return {
        "modules": len(members),
        "rooms": len(rooms),
        "arrows": sum(map(len, between.values())),
        "out": sum(within(a, package) > within(b, package) for a, b in structure.arrows),
        "layers": layers_of(between, rooms),
        "circles": circles_of(between),
        "module_arrows": sum(map(len, imports.values())),
        "module_layers": layers_of(imports, [m.name for m in members]),
        "module_circles": circles_of(imports),
        "statements": sum(m.statements for m in members),
        "without_kit": sum(m.statements for m in members) - sum(m.statements for m in kit),
    }


def frames_of(root: Path) -> list[dict]:
    """The distinct chains of frames of the run, in order of their first call."""
    own = root / ".venv" / "bin" / "python"
    python = str(own) if own.exists() else sys.executable
    with TemporaryDirectory() as folder:
        # -P keeps this folder, where a module is called coverage, off the child's path.
        command = [python, "-P", __file__, "--root", str(root), "--probe", "chains.json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the run for the frames failed under {python}:\n{done.stderr}")
        return json.loads(Path(folder, "chains.json").read_text(encoding="utf-8"))


def probe(root: Path, out: Path) -> None:
    """Run the verb in this process and write the stacks on which the misfit was computed."""
    named = ((getattr(n, "name", ""), m) for m in read_modules(root) for n in m.tree.body)
    home = next(module for name, module in named if name == "Noise")
    noise, chains = import_module(home.name).Noise, Counter()
    plain = noise.misfit

    def watched(self, *args, **kwargs):
        chains[*own_frames(root), f"{home.path}:Noise.misfit"] += 1
        return plain(self, *args, **kwargs)

    noise.misfit = watched
    options = "--engine pcn --draws 20 --chains 1 --workers 1 --seed 1 --set engine.warmup=10"
    observed = str(root / "examples" / "darcy" / "obs.nc")
    sys.argv = ["pdeinv", VERB, observed, *options.split(), "--out", "posterior.nc"]
    try:
        import_module("pdeinv.cli.main").main()
    except SystemExit as left:
        if left.code:
            raise
    kept = [{"frames": len(c), "calls": n, "chain": c} for c, n in chains.items()]
    out.write_text(json.dumps(kept), encoding="utf-8")


def own_frames(root: Path) -> list[str]:
    """The project's frames from the verb's function down to the caller of the caller."""
    found: list[str] = []
    for frame, _ in walk_stack(sys._getframe(2)):
        path = Path(frame.f_code.co_filename).resolve()
        if any(path.is_relative_to(root / folder) for folder in FOLDERS):
            found.insert(0, f"{path.relative_to(root)}:{frame.f_code.co_qualname}")
    verbs = [k for k, place in enumerate(found) if place.endswith(f":{VERB}")]
    return found[verbs[0] if verbs else 0 :]


def print_table(table: dict[str, dict]) -> None:
    print(" " * 16 + "".join(f"{package:>12}" for package in table))
    for name in table["all"]:
        shown = [len(r[name]) if isinstance(r[name], list) else r[name] for r in table.values()]
        print(f"{name.replace('_', ' '):16}" + "".join(f"{value:>12}" for value in shown))


def print_circles(places: Places, circles: list[list[str]], kind: str, full: bool) -> None:
    """Each circle and, in full, its arrows, those of the fewest statements first."""
    for circle in circles:
        print(f"\ncircle of {len(circle)} {kind}: {', '.join(circle)}")
        inner = [(pair, lines) for pair, lines in places.items() if {*pair} <= {*circle}]
        for (source, end), lines in sorted(inner, key=lambda x: len(x[1])) if full else ():
            print("\n    ".join([f"  {source} -> {end} ({len(lines)})", *lines]))


def print_rooms(structure: Structure) -> None:
    for room in sorted(structure.rooms):
        inward = sorted(a for a, b in structure.arrows if b == room)
        outward = sorted(b for a, b in structure.arrows if a == room)
        size = sum(m.room == room for m in structure.modules.values())
        print(f"\n{room} ({size} modules)\n  from {', '.join(inward)}\n  to   {', '.join(outward)}")


def print_frames(chains: list[dict]) -> None:
    n = [chain["frames"] for chain in chains]
    print(f"\nframes to Noise.misfit: {n[0]} at the first call, {min(n)} to {max(n)} at all")
    for c in chains:
        print("\n    ".join([f"  {c['frames']} frames, {c['calls']} calls", *c["chain"]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    for flag in ("--json", "--modules", "--circles", "--flat", "--no-frames"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--probe", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.probe:
        probe(args.root, args.probe)
        return
    structure = examine(args.root.resolve(), args.flat)
    table = {package: figures(structure, package) for package in (*PACKAGES, "all")}
    chains = [] if args.no_frames else frames_of(args.root.resolve())
    if args.json:
        print(json.dumps({"packages": table, "frames": chains}))
        return
    print_table(table)
    print_circles(structure.arrows, table["all"]["circles"], "rooms", args.circles)
    print_circles(structure.imports, table["all"]["module_circles"], "modules", args.circles)
    if args.modules:
        print_rooms(structure)
    if chains:
        print_frames(chains)


if __name__ == "__main__":
    main()
