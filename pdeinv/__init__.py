"""pdeinv: from measurements of a physical field to its cause, with an honest uncertainty.

The functions here do what the verbs of the command line do; docs/python.md shows them. Nothing is
imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pdeinv.api.inverting import check, invert
    from pdeinv.api.learning import evaluate, generate, train_surrogate
    from pdeinv.api.showing import export, list_plugins, load, plot, score
    from pdeinv.api.solving import observe, problem, solve
    from pdeinv.bayes import likelihoods
    from pdeinv.bayes import named_priors as priors
    from pdeinv.errors import PdeinvError
    from pdeinv.plugins.own_model import OwnModel, own_model

__all__ = [
    "OwnModel",
    "PdeinvError",
    "check",
    "evaluate",
    "export",
    "generate",
    "invert",
    "likelihoods",
    "list_plugins",
    "load",
    "observe",
    "own_model",
    "plot",
    "priors",
    "problem",
    "score",
    "solve",
    "train_surrogate",
]

_HOMES = {
    "check": "pdeinv.api.inverting",
    "invert": "pdeinv.api.inverting",
    "evaluate": "pdeinv.api.learning",
    "generate": "pdeinv.api.learning",
    "train_surrogate": "pdeinv.api.learning",
    "export": "pdeinv.api.showing",
    "list_plugins": "pdeinv.api.showing",
    "load": "pdeinv.api.showing",
    "plot": "pdeinv.api.showing",
    "score": "pdeinv.api.showing",
    "observe": "pdeinv.api.solving",
    "problem": "pdeinv.api.solving",
    "solve": "pdeinv.api.solving",
    "PdeinvError": "pdeinv.errors",
    "OwnModel": "pdeinv.plugins.own_model",
    "own_model": "pdeinv.plugins.own_model",
    "likelihoods": "pdeinv.bayes.likelihoods",
    "priors": "pdeinv.bayes.named_priors",
}
"""The module of each name."""


if not TYPE_CHECKING:  # which would else let every name pass

    def __getattr__(name: str) -> object:
        """Import what is asked for."""
        if name not in _HOMES:
            raise AttributeError(f"module 'pdeinv' has no attribute '{name}'")
        from importlib import import_module

        module = import_module(_HOMES[name])
        found: object = module if name in ("likelihoods", "priors") else getattr(module, name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    """The names that are offered, and the modules that are loaded."""
    return sorted({*globals(), *__all__})
