"""Weights of networks that hold complex numbers: in double precision, and as named arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pdeinv.errors import DataSchemaError

from ..common.torch_env import import_torch

__all__ = ["from_arrays", "in_double", "to_arrays"]

COMPLEX = "|complex"
"""Ends the name of an array that holds real and imaginary parts along its last axis."""


def in_double(module: Any) -> Any:
    """``module`` in place in double precision, complex weights included."""
    torch = import_torch()
    # .double() leaves complex weights as they are
    for tensor in (*module.parameters(), *module.buffers()):
        kind = torch.complex128 if tensor.is_complex() else torch.float64
        tensor.data = tensor.data.to(kind)
    return module.eval().requires_grad_(False)


def to_arrays(module: Any) -> dict[str, Any]:
    """The weights by name; the library's ``_metadata`` entry of code objects stays behind."""
    torch = import_torch()
    found = {}
    for name, tensor in module.named_parameters():
        plain = tensor.detach().cpu()
        if plain.is_complex():
            found[name + COMPLEX] = torch.view_as_real(plain).numpy().copy()
        else:
            found[name] = plain.numpy().copy()
    return found


def from_arrays(build: Callable[[], Any], arrays: Mapping[str, Any]) -> Any:
    """The network that ``build`` makes with the weights that :func:`to_arrays` gave.

    Raises:
        DataSchemaError: they do not fit.
    """
    torch = import_torch()
    with torch.random.fork_rng(devices=[]):
        module = build()
    expected = {name.removesuffix(COMPLEX) for name in arrays}
    parameters = dict(module.named_parameters())
    try:
        if expected != set(parameters):
            raise KeyError(*sorted(expected ^ set(parameters))[:1])
        with torch.no_grad():
            for name, array in arrays.items():
                tensor = torch.from_numpy(np.array(array))
                if name.endswith(COMPLEX):
                    tensor = torch.view_as_complex(tensor)
                parameters[name.removesuffix(COMPLEX)].copy_(tensor)
    except (KeyError, RuntimeError) as error:
        raise DataSchemaError(
            f"the stored weights do not fit the network ({type(error).__name__}: {error}); "
            "train it again"
        ) from None
    return module
