"""Rooms are in order, imports point down without circles, heavy packages load where they are used.

A room is a folder with modules. Imports count wherever they run, inside functions too.
"""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest
from ours import ROOT, modules

ROOMS = (
    "pdeinv.cli",
    "pdeinv.problems",
    "pdeinv.surrogates",
    "pdeinv.api",
    "pdeinv.jobs.invert",
    "pdeinv.jobs.two_level",
    "pdeinv.jobs",
    "pdeinv.jobs.generate",
    "pdeinv.jobs.plot",
    "pdeinv.plugins.conformance",
    "pdeinv.plugins",
    "pdeinv.engines.run",
    "pdeinv.engines.database",
    "pdeinv.engines.diffusion",
    "pdeinv.engines.learned",
    "pdeinv.engines.mcmc",
    "pdeinv.engines.regularized",
    "pdeinv.engines.gaussian",
    "pdeinv.engines",
    "pdeinv.executors",
    "pdeinv.io",
    "pdeinv.fem",
    "pdeinv.bayes",
    "pdeinv.bayes.fields",
    "pdeinv.model",
    "pdeinv.kernels",
    "pdeinv",
)
"""From top to bottom: a room imports from itself and from rooms further down.

Problems and surrogates are one entry each: their rooms only have to be free of circles.
"""

HEAVY = {
    *("dolfinx", "dolfinx_solver", "petsc4py", "mpi4py", "ufl", "basix", "ffcx", "gmsh", "h5py"),
    *("torch", "neuralop", "gpytorch", "safetensors", "arviz", "matplotlib", "emcee"),
    *("submitit", "distributed", "dask", "netCDF4", "nibabel", "cantera", "segyio"),
}
NEVER = {"click", "pickle", "cloudpickle", "joblib"}
LAZY = "pdeinv"
"""``pdeinv/__init__`` loads what it offers when it is asked for, and is exempt."""


def room(module: str) -> str:
    """The room of a module: its package, or itself where it is one."""
    return module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]


def entry(name: str) -> int:
    """The place of a room in the table; the inner rooms of a plug-in package count as one."""
    for group in ("pdeinv.problems", "pdeinv.surrogates"):
        if name == group or name.startswith(f"{group}."):
            return ROOMS.index(group)
    return ROOMS.index(name) if name in ROOMS else -1


def targets(node: ast.AST, module: str) -> list[str]:
    """The absolute names that an import statement may load, longest first."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = module.split(".")
        up = node.level - (modules()[module].name == "__init__.py")
        stem = package[: len(package) - up] if up else package
        base = ".".join([*stem, *([node.module] if node.module else [])])
    return [f"{base}.{alias.name}" for alias in node.names] if base else []


def never_run(tree: ast.Module) -> set[ast.AST]:
    """Everything under ``if TYPE_CHECKING:``."""
    blocks = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.If) and isinstance(n.test, ast.Name) and n.test.id == "TYPE_CHECKING"
    ]
    return {inner for block in blocks for part in block.body for inner in ast.walk(part)}


def inside_functions(tree: ast.Module) -> set[ast.AST]:
    """Everything that runs only when a function is called."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    functions = [n for n in ast.walk(tree) if isinstance(n, kinds)]
    return {inner for function in functions for inner in ast.walk(function)}


def prefixes(name: str) -> Iterator[str]:
    """``a.b.c``, ``a.b``, ``a``."""
    for i in range(name.count(".") + 1):
        yield name.rsplit(".", i)[0]


def imports(module: str, text: str) -> Iterator[tuple[int, str]]:
    """Line and module of every import of ours that can run."""
    tree = ast.parse(text)
    skip = never_run(tree)
    for node in ast.walk(tree):
        for target in targets(node, module) if node not in skip else ():
            found = next((n for n in prefixes(target) if n in modules()), LAZY)
            if found != LAZY:
                yield getattr(node, "lineno", 0), found


@cache
def arrows() -> dict[str, frozenset[str]]:
    """By module, the modules that it imports."""
    return {
        name: frozenset(t for _, t in imports(name, file.read_text()) if t != name)
        for name, file in modules().items()
        if name != LAZY
    }


def upward(module: str, text: str) -> list[str]:
    """Imports of a room that stands above, or beside it in the table."""
    own = entry(room(module))
    return [
        f"{module}:{line} imports {target}, which stands above"
        for line, target in imports(module, text)
        if entry(room(target)) < own
    ]


def circle(graph: dict[str, frozenset[str]]) -> list[str]:
    """The members of one circle; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def between_rooms(graph: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """The same arrows between rooms."""
    found: dict[str, set[str]] = {}
    for module, others in graph.items():
        found.setdefault(room(module), set()).update(map(room, others))
    return {name: frozenset(others - {name}) for name, others in found.items()}


def test_every_room_of_the_core_has_its_place():
    loose = sorted({room(m) for m in modules() if entry(room(m)) < 0})
    assert not loose, f"add these to ROOMS: {loose}"


def test_no_place_is_left_without_a_room():
    gone = [name for name in ROOMS if name not in {room(m) for m in modules()}]
    assert not gone, f"remove these from ROOMS: {gone}"


def test_imports_point_down():
    found = [v for name, file in modules().items() if name != LAZY
             for v in upward(name, file.read_text())]  # fmt: skip
    assert not found, "\n".join(found)


def test_rooms_form_no_circle():
    assert not circle(between_rooms(arrows()))


def test_modules_form_no_circle():
    """Arrows to a package's ``__init__`` are left out: it runs before any of its modules."""
    inits = {name for name, file in modules().items() if file.name == "__init__.py"}
    assert not circle({m: t - inits for m, t in arrows().items() if m not in inits})


@pytest.mark.parametrize(
    "text",
    [
        "from pdeinv.cli.verbs import app",
        "from pdeinv.jobs.invert import run",
        "import pdeinv.problems.darcy",
        "def f():\n    from pdeinv.surrogates.common import mlp",
    ],
)
def test_an_import_that_points_up_is_found(text):
    assert upward("pdeinv.engines.mcmc.pcn", text)


@pytest.mark.parametrize(
    "text",
    [
        "from pdeinv.bayes import posterior",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pdeinv.cli.verbs import app",
    ],
)
def test_an_import_that_points_down_or_never_runs_is_not(text):
    assert not upward("pdeinv.engines.mcmc.pcn", text)


def test_a_circle_is_found():
    graph = arrows() | {"pdeinv.rng": frozenset({"pdeinv.engines.run.chain"})}
    assert circle(graph)
    assert circle(between_rooms(graph))


def test_heavy_packages_are_imported_inside_functions():
    found = []
    for module, file in modules().items():
        tree = ast.parse(file.read_text())
        skip = never_run(tree) | inside_functions(tree)
        for node in ast.walk(tree):
            roots = {t.partition(".")[0] for t in targets(node, module)}
            if roots & HEAVY and node not in skip:
                found.append(f"{module}:{node.lineno} imports {', '.join(roots & HEAVY)}")
    assert not found, "\n".join(found)


def test_forbidden_packages_are_nowhere():
    found = []
    for module, file in modules().items():
        for node in ast.walk(ast.parse(file.read_text())):
            roots = {t.partition(".")[0] for t in targets(node, module)}
            if roots & NEVER:
                found.append(f"{module}:{node.lineno} imports {', '.join(roots & NEVER)}")
    assert not found, "\n".join(found)


def test_every_package_is_shipped(monkeypatch):
    """An editable install finds folders by itself; the wheel holds what setup.py finds."""
    import runpy

    asked = {}
    monkeypatch.setattr("setuptools.setup", lambda **kwargs: asked.update(kwargs))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    packages = {name for name, file in modules().items() if file.name == "__init__.py"}
    assert packages <= set(asked["packages"])
    assert {room(m) for m in modules()} <= packages
