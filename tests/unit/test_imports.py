"""Imports point down, and heavy packages are imported where they are used."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "pdeinv": "pdeinv",
    "problems": "pdeinv.problems",
    "surrogates": "pdeinv.surrogates",
    "cli": "pdeinv.cli",
}
LAYERS = (
    ("pdeinv.__main__",),
    ("pdeinv.cli",),
    ("pdeinv.problems", "pdeinv.surrogates"),
    (
        *(
            "pdeinv.jobs.invert.run",
            "pdeinv.jobs.generate.run",
            "pdeinv.jobs.observe",
            "pdeinv.jobs.plot.figure",
        ),
        *(
            "pdeinv.jobs.invert.result",
            "pdeinv.jobs.invert.request",
            "pdeinv.jobs.invert.config",
            "pdeinv.jobs.two_level.train",
            "pdeinv.jobs.two_level.variance",
            "pdeinv.jobs.generate.batches",
            "pdeinv.jobs.generate.grid",
            "pdeinv.jobs.two_level.admission",
            "pdeinv.jobs.common.inside",
            "pdeinv.jobs.two_level.start",
            "pdeinv.jobs.generate.training_set",
            "pdeinv.jobs.evaluate.comparison",
            "pdeinv.jobs.evaluate.run",
            "pdeinv.jobs.evaluate.report",
            "pdeinv.jobs.generate.plan",
            "pdeinv.jobs.import_data",
            "pdeinv.jobs.info",
            "pdeinv.jobs.plot.overlays",
            "pdeinv.jobs.plot.panels",
            "pdeinv.jobs.score",
            "pdeinv.jobs.doctor",
            "pdeinv.jobs.plot.slices",
        ),
    ),
    ("pdeinv.jobs.common.recipe", "pdeinv.jobs.invert.layout", "pdeinv.plugins.hooks"),
    ("pdeinv.engines",),
    ("pdeinv.io", "pdeinv.fem", "pdeinv.executors"),
    ("pdeinv.plugins.problem",),
    ("pdeinv.bayes",),
    (
        "pdeinv.model.forward",
        "pdeinv.model.strong_form",
        "pdeinv.model.tangent",
        "pdeinv.provenance",
    ),
    (
        "pdeinv.model.spaces",
        "pdeinv.config",
        "pdeinv.plugins.registry",
        "pdeinv.rng",
        "pdeinv.jobs.generate.sampling",
    ),
    ("pdeinv.errors", "pdeinv.typing", "pdeinv.jobs.common.memory"),
)
"""From top to bottom; a module may import from its own layer and from those below."""

HEAVY = {
    *("dolfinx", "dolfinx_solver", "petsc4py", "mpi4py", "ufl", "basix", "ffcx", "gmsh", "h5py"),
    *("torch", "neuralop", "gpytorch", "safetensors", "arviz", "matplotlib", "emcee"),
    *("submitit", "distributed", "dask", "netCDF4"),
}
NEVER = {"click", "pickle", "cloudpickle", "joblib"}


def _modules() -> Iterator[tuple[str, Path]]:
    for folder, package in PACKAGES.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join([package, *(p for p in parts if p != "__init__")]), file


def _targets(node: ast.AST, module: str, file: Path) -> list[str]:
    """The absolute names of the modules that an import statement may load."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = module.split(".")
        up = node.level - (file.name == "__init__.py")
        stem = package[: len(package) - up] if up else package
        base = ".".join([*stem, *([node.module] if node.module else [])])
    return [f"{base}.{alias.name}" for alias in node.names] if base else []


def _type_checking(tree: ast.Module) -> set[ast.AST]:
    """Everything under ``if TYPE_CHECKING:``, which never runs."""
    blocks = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.If) and isinstance(n.test, ast.Name) and n.test.id == "TYPE_CHECKING"
    ]
    return {inner for block in blocks for inner in ast.walk(block)}


def _inside_functions(tree: ast.Module) -> set[ast.AST]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    functions = [n for n in ast.walk(tree) if isinstance(n, kinds)]
    return {inner for function in functions for inner in ast.walk(function)}


def _layer(name: str) -> int:
    """The layer of the longest prefix of ``name`` that the table holds."""
    for i in range(name.count(".") + 1):
        prefix = name.rsplit(".", i)[0]
        for depth, members in enumerate(LAYERS):
            if prefix in members:
                return depth
    return -1


def _violations(module: str, file: Path, text: str) -> list[str]:
    own, found = _layer(module), []
    for node in ast.walk(ast.parse(text)):
        for target in _targets(node, module, file):
            if (
                target.startswith("pdeinv.")
                and _layer(target) not in (-1,)
                and _layer(target) < own
            ):
                found.append(f"{module}:{getattr(node, 'lineno', 0)} imports {target}")
    return found


def test_every_module_belongs_to_a_layer():
    loose = [name for name, _ in _modules() if name != "pdeinv" and _layer(name) < 0]
    assert not loose, f"add these to LAYERS: {loose}"


def test_imports_point_down():
    found = [v for name, file in _modules() for v in _violations(name, file, file.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "from pdeinv.cli.main import app",
        "from pdeinv import inversion",
        "import pdeinv.problems.darcy",
        "def f():\n    from ..surrogates import linear",
    ],
)
def test_an_import_that_points_up_is_found(text):
    assert _violations("pdeinv.engines.mcmc.pcn", ROOT / "pdeinv/engines/pcn.py", text)


def test_heavy_packages_are_imported_inside_functions():
    found = []
    for module, file in _modules():
        tree = ast.parse(file.read_text())
        skip = _type_checking(tree) | _inside_functions(tree)
        for node in ast.walk(tree):
            roots = {t.partition(".")[0] for t in _targets(node, module, file)}
            if roots & HEAVY and node not in skip:
                found.append(
                    f"{module}:{node.lineno} imports {', '.join(roots & HEAVY)} at the top"
                )
    assert not found, "\n".join(found)


def test_forbidden_packages_are_nowhere():
    found = []
    for module, file in _modules():
        for node in ast.walk(ast.parse(file.read_text())):
            roots = {t.partition(".")[0] for t in _targets(node, module, file)}
            if roots & NEVER:
                found.append(f"{module}:{node.lineno} imports {', '.join(roots & NEVER)}")
    assert not found, "\n".join(found)


def test_every_package_is_shipped():
    """An editable install finds folders by itself; the wheel holds only what is listed."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {file.parent.relative_to(ROOT) for _, file in _modules()}
    wanted = {".".join([PACKAGES[f.parts[0]], *f.parts[1:]]) for f in folders}
    assert wanted <= set(listed), f"add to [tool.setuptools] packages: {wanted - set(listed)}"
