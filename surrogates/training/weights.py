"""Weights of a trained network as arrays, a network with stored weights, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pdeinv.errors import DataSchemaError
from pdeinv.typing import Array

from ..common.torch_env import in_precision, torch
from .checkpointing import packed, unpacked

__all__ = ["answers", "from_arrays", "in_double", "to_arrays"]


def in_double(module: Any) -> Any:
    """``module`` in place in double precision, to be used and trained no more."""
    return in_precision(module, "float64").eval().requires_grad_(False)


def answers(module: Any, inputs: Array, block: int) -> Array:
    """What a network in double precision says of rows of inputs, ``block`` of them at once."""
    with torch.no_grad():
        parts = [
            module(torch.as_tensor(inputs[i : i + block], dtype=torch.float64)).numpy()
            for i in range(0, len(inputs), block)
        ]
    return np.concatenate(parts)


def to_arrays(module: Any) -> dict[str, Any]:
    """The weights by name; the library's ``_metadata`` entry of code objects stays behind."""
    return packed("", {name: tensor.detach() for name, tensor in module.named_parameters()})


def from_arrays(build: Callable[[], Any], arrays: Mapping[str, Any]) -> Any:
    """The network that ``build`` makes with the weights that :func:`to_arrays` gave.

    Raises:
        DataSchemaError: they do not fit.
    """
    with torch.random.fork_rng(devices=[]):
        module = build()
    found, parameters = unpacked("", arrays, "cpu"), dict(module.named_parameters())
    try:
        if set(found) != set(parameters):
            raise KeyError(*sorted(set(found) ^ set(parameters))[:1])
        with torch.no_grad():
            for name, tensor in found.items():
                parameters[name].copy_(tensor)
    except (KeyError, RuntimeError) as error:
        raise DataSchemaError(
            f"the stored weights do not fit the network ({type(error).__name__}: {error}); "
            "train it again"
        ) from None
    return module
