"""torch, where it is needed: the module, a precision, a seeded start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pdeinv.executors.devices import import_torch
from pdeinv.memory import check_fits
from pdeinv.plugins.fitting import Precision
from pdeinv.rng import stream

__all__ = [
    "TRAINED",
    "autocast",
    "built",
    "exact_spectra",
    "in_precision",
    "real_type",
    "seeded",
    "torch",
]


class _Torch:
    """The module torch, imported when something of it is first asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_torch(), name)


torch: Any = _Torch()
"""torch for all modules here, none of which imports it before it computes."""


def built(
    forward: Callable[[Any, Any], Any],
    parts: Mapping[str, Any],
    buffers: Mapping[str, Any] | None = None,
) -> Any:
    """A torch module of named parts, which give its weights their names, and constants.

    Args:
        forward: the module and its input to its output.
        parts: modules by name.
        buffers: tensors that move with the weights and are not trained, by name.
    """

    class Built(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)
            for name, values in (buffers or {}).items():
                self.register_buffer(name, values)

        def forward(self, x: Any) -> Any:
            return forward(self, x)

    return Built()


def seeded(seed: int, name: str, k: int, build: Callable[[], Any]) -> Any:
    """What ``build`` makes with torch's generator seeded by a named stream; the global state of
    the generator is as before afterwards.

    Raises:
        ConfigError: it cannot fit into memory.
    """
    with torch.random.fork_rng(devices=[]):
        _check_size(build)
        torch.random.default_generator.manual_seed(int(stream(seed, name, k).integers(2**62)))
        return build()


TRAINED = 4
"""Copies of the weights that a training holds at least: themselves, gradients, moments of Adam."""


def _check_size(build: Callable[[], Any]) -> None:
    """Refuse a network that cannot fit into memory, built on a device that has none.

    Raises:
        ConfigError: with the memory that it would take.
    """
    with torch.device("meta"):
        n = sum(int(p.numel()) * int(p.itemsize) for p in build().parameters())
    check_fits("a network of this size, while it trains,", TRAINED * n, "lower width or layers")


def real_type(precision: Precision) -> Any:
    """The torch type of weights and data."""
    return torch.float64 if precision == "float64" else torch.float32


def in_precision(module: Any, precision: Precision) -> Any:
    """``module`` in place with weights of that precision, complex ones included."""
    if precision == "float64":
        # .double() leaves complex weights as they are
        for tensor in (*module.parameters(), *module.buffers()):
            kind = torch.complex128 if tensor.is_complex() else torch.float64
            if tensor.is_floating_point() or tensor.is_complex():
                tensor.data = tensor.data.to(kind)
    return module


@contextmanager
def autocast(device: Any, precision: Precision) -> Iterator[None]:
    """Compute in bfloat16 where ``precision`` asks for it, else as the arrays are."""
    if precision != "bfloat16":
        yield
        return
    with torch.autocast(device.type, dtype=torch.bfloat16):
        yield


@contextmanager
def exact_spectra(module: Any, precision: Precision) -> Iterator[None]:
    """Keep the Fourier layers of neuraloperator in float32 where the rest computes in bfloat16.

    Half precision has no transform for most grids and too few digits for a spectrum.
    """
    layers = [m for m in module.modules() if precision == "bfloat16" and _is_spectral(m)]

    def guarded(inner: Callable[..., Any]) -> Callable[..., Any]:
        def forward(x: Any, *args: Any, **kwargs: Any) -> Any:
            with torch.autocast(x.device.type, enabled=False):
                return inner(x.float(), *args, **kwargs)

        return forward

    for layer in layers:
        layer.forward = guarded(layer.forward)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _is_spectral(layer: Any) -> bool:
    return any(kind.__name__ == "SpectralConv" for kind in type(layer).__mro__)
