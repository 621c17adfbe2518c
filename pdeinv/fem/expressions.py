"""Functions of coordinates from text, read by a whitelist: nothing else in it is ever executed."""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError
from pdeinv.typing import Array

__all__ = ["Expression"]

_FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    **{
        name: (getattr(np, name), 1)
        for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "sinh", "cosh", "tanh", "abs")
    },
    "min": (np.minimum, 2),
    "max": (np.maximum, 2),
    "where": (np.where, 3),
}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_CONSTANTS = {"pi": np.pi, "e": np.e}
_NUMPY: dict[str, Callable[..., Any]] = {name: f for name, (f, _) in _FUNCTIONS.items()}
_TENSOR_NAMES = {"min": "minimum", "max": "maximum"}
_MAX_LENGTH, _MAX_DEPTH, _MAX_DIGITS = 1000, 300, 40
"""Bounds of a formula: characters, operations within one another, digits of one number."""
_SHOWN = 60
"""Characters of it that messages repeat."""


def _source(text: str) -> str:
    """The formula as Python has it."""
    return text.strip().replace("^", "**")


def _part(node: ast.expr, text: str) -> str:
    """What a part of the formula says, without going into its depth."""
    return ast.get_source_segment(_source(text), node) or ""


def _shown(text: str) -> str:
    """The formula in messages, on one line and no longer than a line."""
    plain = " ".join(text.split())
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}..."


def _check_size(text: str) -> None:
    """Refuse text that is long, nested deep or holds a long number, before it is parsed.

    Raises:
        ConfigError: says which.
    """
    if len(text) > _MAX_LENGTH:
        raise ConfigError(f"expression has {len(text)} characters; at most {_MAX_LENGTH}")
    digits = max(map(len, re.findall(r"[0-9_]+", text)), default=0)
    if digits > _MAX_DIGITS:
        raise ConfigError(
            f"expression '{_shown(text)}' has a number of {digits} digits; at most {_MAX_DIGITS}: "
            "write it with an exponent, such as 1e30"
        )


def _check_depth(tree: ast.expr, text: str) -> None:
    """Refuse a formula that is nested deeper than it can be evaluated.

    Raises:
        ConfigError: it is.
    """
    level: list[ast.AST] = [tree]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise ConfigError(
        f"expression '{_shown(text)}' is nested deeper than {_MAX_DEPTH}; simplify it"
    )


@dataclass(frozen=True)
class Expression:
    """A formula in x and y, or in other names, such as ``1 + 0.5*sin(2*pi*x)*y**2``.

    Known are + - * / ** (or ^), < <= > >=, parentheses, pi, e and the functions sin, cos, tan, exp,
    log, sqrt, sinh, cosh, tanh, abs, min(a, b), max(a, b), where(condition, a, b).

    Attributes:
        text: the formula.
        names: its variables, in the order of the arguments.

    Raises:
        ConfigError: anything else in the text, named.
    """

    text: str
    names: tuple[str, ...] = ("x", "y")

    def __post_init__(self) -> None:
        with np.errstate(all="ignore"):
            _value(self._tree, dict.fromkeys(self.names, np.float64(0.5)), self.text)

    @cached_property
    def _tree(self) -> ast.expr:
        _check_size(self.text)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # of "1if", which is refused below
                tree = ast.parse(_source(self.text), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ConfigError(
                f"expression '{_shown(self.text)}' cannot be read; expected a formula in "
                f"{' and '.join(self.names)}"
            ) from None
        _check_depth(tree, self.text)
        return tree

    def uses(self, name: str) -> bool:
        """Whether the variable occurs in the formula."""
        return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(self._tree))

    def __call__(self, *values: Array) -> Array:
        """The values at points; a division by zero gives inf or nan, which callers refuse."""
        with np.errstate(all="ignore"):
            value = _value(self._tree, dict(zip(self.names, values, strict=True)), self.text)
        return np.broadcast_to(np.asarray(value, dtype=np.float64), np.shape(values[0])).copy()

    def tensors(self, *values: Any) -> Any:
        """The same on torch tensors (n,) of one type, which autograd can differentiate."""
        import torch

        like = values[0]

        def number(value: float) -> Any:
            return torch.as_tensor(value, dtype=like.dtype, device=like.device)

        functions = {name: getattr(torch, _TENSOR_NAMES.get(name, name)) for name in _FUNCTIONS}
        binary: dict[type[ast.operator], Callable[[Any, Any], Any]] = dict(_BINARY)
        binary.update({ast.Div: torch.div, ast.Pow: torch.pow})
        names = dict(zip(self.names, values, strict=True))
        value = _value(self._tree, names, self.text, _Library(functions, binary, number))
        return value.expand(like.shape) if value.ndim == 0 else value


@dataclass(frozen=True)
class _Library:
    """Who does the arithmetic: NumPy, or torch."""

    functions: dict[str, Callable[..., Any]]
    binary: dict[type[ast.operator], Callable[[Any, Any], Any]]
    number: Callable[[float], Any]


_ARRAYS = _Library(_NUMPY, _BINARY, np.float64)


def _value(node: ast.expr, names: dict[str, Any], text: str, library: _Library = _ARRAYS) -> Any:
    def inner(child: ast.expr) -> Any:
        return _value(child, names, text, library)

    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as number):
            return library.number(number)
        case ast.Name(id=name) if name in names or name in _CONSTANTS:
            return names[name] if name in names else library.number(_CONSTANTS[name])
        case ast.BinOp(op=op) if type(op) in _BINARY:
            return library.binary[type(op)](inner(node.left), inner(node.right))
        case ast.UnaryOp(op=op) if type(op) in _UNARY:
            return _UNARY[type(op)](inner(node.operand))
        case ast.Compare(ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return _COMPARE[type(op)](inner(node.left), inner(right))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            if len(args) == _FUNCTIONS[name][1]:
                return library.functions[name](*(inner(a) for a in args))
    raise ConfigError(
        f"expression '{_shown(text)}': '{_shown(_part(node, text))}' is not understood; "
        f"use {', '.join(names)}, pi, e, numbers, + - * / **, comparisons and functions such as "
        "sin, exp, where"
    )
