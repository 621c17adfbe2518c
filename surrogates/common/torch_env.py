"""torch, where it is needed: the module, a device, a precision, a seeded start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pdeinv import extras
from pdeinv.errors import ConfigError
from pdeinv.rng import stream

__all__ = [
    "Precision",
    "autocast",
    "exact_spectra",
    "find_device",
    "import_torch",
    "in_precision",
    "real_type",
    "seeded",
]

Precision = Literal["float32", "bfloat16", "float64"]
"""Weights and data are float32 or float64; bfloat16 computes float32 networks in half precision."""


def import_torch() -> Any:
    """The module torch.

    Raises:
        MissingDependency: it is not installed.
    """
    return extras.load("torch", "a network")


def find_device(name: str) -> Any:
    """The torch device ``name``; an absent one is an error, never replaced in silence.

    Raises:
        ConfigError: no such device on this machine.
    """
    torch = import_torch()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"--device must be cpu or cuda, got '{name}'") from None
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"--device must be cpu or cuda (or mps), got '{name}'")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= found:
        raise ConfigError(
            f"device '{name}' is not available: torch sees {found or 'no'} GPU; use --device cpu"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device 'mps' is not available on this machine; use --device cpu")
    return device


def seeded(seed: int, name: str, k: int, build: Callable[[], Any]) -> Any:
    """What ``build`` makes with torch's generator seeded by a named stream; the global state of
    the generator is as before afterwards.
    """
    torch = import_torch()
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(int(stream(seed, name, k).integers(2**62)))
        return build()


def real_type(precision: Precision) -> Any:
    """The torch type of weights and data."""
    torch = import_torch()
    return torch.float64 if precision == "float64" else torch.float32


def in_precision(module: Any, precision: Precision) -> Any:
    """``module`` in place with weights of that precision, complex ones included."""
    torch = import_torch()
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
    torch = import_torch()
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
    torch = import_torch()
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
