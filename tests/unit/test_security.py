"""What no module of pdeinv may do, by its source: docs/security.md says the same to users."""

import ast

import pytest
from ours import modules

CODE = {"eval", "exec", "compile", "__import__", "breakpoint"}
"""Names that run text."""
UNSAFE = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "code", "runpy", "imp"}
NETWORK = {"urllib", "http", "ftplib", "smtplib", "requests", "httpx", "aiohttp", "xmlrpc", "ssl"}
SHELL = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
SAFE_ONLY = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "np.savez": ("allow_pickle", False),
    "np.save": ("allow_pickle", False),
}
"""Calls, and the argument that each has to carry."""
FORBIDDEN = {"yaml.load", "yaml.unsafe_load", "pd.read_pickle", "torch.save", "jsonpickle.decode"}
IMPORTERS = {
    "pdeinv", "pdeinv.__main__", "pdeinv.extras", "pdeinv.fem.env", "pdeinv.executors.devices",
    "pdeinv.executors.processes", "pdeinv.executors.task", "pdeinv.jobs.plot.figure",
    "pdeinv.plugins.own_declared",
}  # fmt: skip
"""Modules that import by name: packages, tasks of pdeinv itself, and the user's own model."""
STARTERS = {"pdeinv.jobs.doctor", "pdeinv.kernels.build", "pdeinv.own_process"}
"""Modules that start programs: the compiler, and this Python to try a package or a file, or to read
a mesh."""
SOCKETS = {"pdeinv.jobs.train", "pdeinv.executors.meeting", "pdeinv.io.lock"}
"""Modules that know sockets: the meeting of training processes, and one that asks for its host."""


def faults(module, text):
    """What one module does and should not."""
    return [f"{module}:{node.lineno} {what}" for node in ast.walk(ast.parse(text))
            for what in _wrong(module, node)]  # fmt: skip


def _wrong(module, node):
    if isinstance(node, ast.Import | ast.ImportFrom):
        roots = _roots(node)
        yield from (f"imports {r}" for r in roots & (UNSAFE | NETWORK))
        if "socket" in roots and module not in SOCKETS:
            yield "imports socket"
        if "subprocess" in roots and module not in STARTERS:
            yield "imports subprocess"
        if "importlib" in roots and module not in IMPORTERS and _imports_by_name(node):
            yield "imports by name"
    if isinstance(node, ast.Call):
        yield from _wrong_call(ast.unparse(node.func), node)


def _roots(node):
    names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
    return {(name or "").partition(".")[0] for name in names}


def _imports_by_name(node):
    """What of importlib only looks, at metadata or for a package, is harmless."""
    return getattr(node, "module", None) not in {"importlib.metadata", "importlib.resources"} and {
        alias.name for alias in node.names
    } != {"find_spec"}


def _wrong_call(name, call):
    words = {k.arg: getattr(k.value, "value", None) for k in call.keywords}
    if name in CODE | SHELL | FORBIDDEN or name.endswith((".extractall", ".execvp")):
        yield f"calls {name}"
    if words.get("shell"):
        yield f"calls {name} with a shell"
    argument, value = SAFE_ONLY.get(name, ("", None))
    if argument and words.get(argument) is not value:
        yield f"calls {name} without {argument}={value}"


def test_no_module_runs_text_opens_pickles_or_calls_a_shell():
    found = [fault for module, file in modules().items()
             for fault in faults(module, file.read_text(encoding="utf-8"))]  # fmt: skip
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from joblib import load",
        "def f():\n    import cloudpickle",
        "eval('1')",
        "exec(text)",
        "import os\nos.system('true')",
        "subprocess.run(line, shell=True)",
        "import subprocess",
        "import socket",
        "from urllib.request import urlopen",
        "import importlib\nimportlib.import_module(name)",
        "import numpy as np\nnp.load(path)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "yaml.load(text)",
        "archive.extractall(folder)",
    ],
)
def test_each_of_these_is_found(text):  # negative control
    assert faults("pdeinv.jobs.info", text)


@pytest.mark.parametrize(
    "text",
    ["np.load(path, allow_pickle=False)", "torch.load(p, weights_only=True)", "re.compile(x)",
     "from importlib.metadata import version", "from importlib.util import find_spec",
     "model.eval()"],
)  # fmt: skip
def test_none_of_these_is(text):
    assert not faults("pdeinv.jobs.info", text)
