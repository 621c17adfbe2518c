"""The Fourier neural operator of the library neuraloperator, made fit for inversion.

Three things of release 2.0 are replaced, because they would cost accuracy here: its spectral layer
computes in single precision whatever the input, and for an odd number of nodes it puts every
frequency one place off, so that a network does not carry over to an even one; its grid coordinates
leave out the last node; and its padding changes the period with the number of nodes.

Reference: Li et al. (2021), Fourier neural operator for parametric partial differential equations.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from pdeinv.errors import DataSchemaError, MissingDependency

from .training import import_torch

__all__ = ["Architecture", "build", "from_arrays", "in_double", "padded_size", "to_arrays"]

COMPLEX = "|complex"
"""Ends the name of an array that holds real and imaginary parts along its last axis."""


@dataclass(frozen=True)
class Architecture:
    """The size of a network.

    Attributes:
        modes: frequencies kept along y and x, negative ones counted.
        width: channels.
        layers: Fourier layers.
        padding: share by which the domain is extended, so that its ends need not meet.
    """

    modes: tuple[int, int]
    width: int
    layers: int
    padding: float


def padded_size(n: int, padding: float) -> int:
    """Nodes along an axis of ``n`` nodes after padding; n - 1 intervals become (1 + padding) times
    as many in one period, whatever n.
    """
    return max(n, round((1 + padding) * (n - 1)))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from talking on stdout, from warning and from reaching for a tracker."""
    before = os.environ.get("WANDB_MODE")
    os.environ["WANDB_MODE"] = "disabled"
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            yield
    finally:
        if before is None:
            del os.environ["WANDB_MODE"]
        else:
            os.environ["WANDB_MODE"] = before


@cache
def _library() -> tuple[Any, Any]:
    """The library's network and the spectral layer to build it from.

    Raises:
        MissingDependency: it is not installed.
    """
    torch = import_torch()
    try:
        with _quiet():
            from neuralop.layers.spectral_convolution import SpectralConv
            from neuralop.models import FNO
    except ImportError:
        raise MissingDependency(
            "surrogate 'fno' needs neuraloperator; install pdeinv[surrogate]"
        ) from None

    class Spectral(SpectralConv):  # type: ignore[misc]
        """v -> F^(-1)(W F v) on the kept frequencies, in the precision of v, for any grid."""

        def forward(self, x: Any, output_shape: Any = None) -> Any:
            """(batch, channels, y, x) to the same shape."""
            rows, columns = x.shape[-2:]
            weight = self.weight.to_tensor()
            up = min(weight.shape[2], rows)
            across = min(weight.shape[3], columns // 2 + 1)
            first = weight.shape[2] // 2 - up // 2
            weight = weight[:, :, first : first + up, :across]
            spectrum = torch.fft.rfft2(x, norm="forward")[..., :across]
            # lowest kept frequency of y first
            spectrum = torch.roll(spectrum, up // 2, dims=-2)[..., :up, :]
            mixed = torch.einsum("biyx,ioyx->boyx", spectrum, weight)
            mixed = torch.nn.functional.pad(mixed, (0, 0, 0, rows - up))
            mixed = torch.roll(mixed, -(up // 2), dims=-2)
            value = torch.fft.irfft2(mixed, s=(rows, columns), norm="forward")
            return value if self.bias is None else value + self.bias

    return FNO, Spectral


def build(architecture: Architecture, envelope: Any) -> Any:
    """A network from (batch, y, x) to the same shape, its output times the array ``envelope``."""
    torch = import_torch()
    fno, spectral = _library()
    with _quiet():
        inner = fno(
            n_modes=architecture.modes,
            in_channels=3,
            out_channels=1,
            hidden_channels=architecture.width,
            n_layers=architecture.layers,
            positional_embedding=None,
            conv_module=spectral,
        )

    class Padded(torch.nn.Module):  # type: ignore[misc, name-defined]
        """The network with node coordinates in [0, 1] as two more inputs, on a padded grid."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = inner
            self.register_buffer("envelope", torch.as_tensor(envelope, dtype=torch.float64))

        def forward(self, x: Any) -> Any:
            """(batch, y, x) to the same shape."""
            rows, columns = x.shape[1:]
            more = [padded_size(n, architecture.padding) - n for n in (rows, columns)]
            padded = torch.nn.functional.pad(x, (0, more[1], 0, more[0]))
            places = [
                torch.arange(n + k, dtype=x.dtype, device=x.device) / (n - 1)
                for n, k in zip((rows, columns), more, strict=True)
            ]
            grid = [g.expand(padded.shape) for g in torch.meshgrid(*places, indexing="ij")]
            value = self.inner(torch.stack([padded, *grid], dim=1))
            return self.envelope.to(x.dtype) * value[:, 0, :rows, :columns]

    return Padded()


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


def from_arrays(architecture: Architecture, envelope: Any, arrays: Mapping[str, Any]) -> Any:
    """The network with the weights that :func:`to_arrays` gave.

    Raises:
        DataSchemaError: they do not fit.
    """
    torch = import_torch()
    with torch.random.fork_rng(devices=[]):
        module = build(architecture, envelope)
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
