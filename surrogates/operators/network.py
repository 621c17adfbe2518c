"""The operators of the library neuraloperator, made fit for inversion.

Three things of release 2.0 are replaced, because they would cost accuracy here: its spectral layer
computes in single precision whatever the input, and for an odd number of nodes it puts every
frequency one place off, so that a network does not carry over to an even one; its grid coordinates
leave out the last node; and its padding changes the period with the number of nodes. Its U-shaped
operator fails with the default skips, ignores the layer that it is given and prints.

References: Li et al. (2021), Fourier neural operator for parametric partial differential equations;
Kossaifi et al. (2023), Multi-grid tensorized Fourier neural operator; Rahman, Ross and
Azizzadenesheli (2023), U-NO: U-shaped neural operators.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any

from pdeinv import extras

from ..common.torch_env import built, torch

__all__ = ["Architecture", "build", "hermitian", "padded_size"]

POOL = 8
"""Patches along each side that data are read off."""


@dataclass(frozen=True)
class Architecture:
    """The size of a network.

    Attributes:
        modes: frequencies kept along y and x, negative ones counted.
        width: channels.
        layers: Fourier layers.
        padding: share by which the domain is extended, so that its ends need not meet.
        kind: plain Fourier layers, layers with Tucker-factorised weights, or a U of resolutions.
        rank: share of the parameters that the factors keep (``tfno``).
        outputs: numbers read off the fields at the end; 0 where the fields are the output.
        inputs: fields that it reads, the coordinates of the nodes not counted.
    """

    modes: tuple[int, int]
    width: int
    layers: int
    padding: float
    kind: str = "fno"
    rank: float = 1.0
    outputs: int = 0
    inputs: int = 1

    def as_json(self) -> dict[str, Any]:
        """JSON data."""
        return {**asdict(self), "modes": list(self.modes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Architecture:
        """The inverse of :meth:`as_json`; entries that older files lack have defaults."""
        rows, columns = data["modes"]
        return cls(**{**data, "modes": (int(rows), int(columns))})


def padded_size(n: int, padding: float) -> int:
    """Nodes along an axis of ``n`` nodes after padding; n - 1 intervals become (1 + padding) times
    as many in one period, whatever n.
    """
    return max(n, round((1 + padding) * (n - 1)))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library from talking, from warning and from reaching for a tracker."""
    before = os.environ.get("WANDB_MODE")
    os.environ["WANDB_MODE"] = "disabled"
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        if before is None:
            del os.environ["WANDB_MODE"]
        else:
            os.environ["WANDB_MODE"] = before


def hermitian(spectrum: Any, columns: int) -> Any:
    """The Hermitian part of the half spectrum (..., rows, kept) of a field of so many columns.

    The frequencies 0 and, for an even number, columns / 2 of x are their own mirrors, so that in
    their columns S(-ky) is the conjugate of S(ky) where the field is real. Learned weights do not
    see to that, and what an inverse transform makes of the rest depends on the library: pocketfft
    and MKL leave it out, cuFFT does not say.
    """
    found = spectrum.clone()
    for k in {0, columns // 2 if columns % 2 == 0 else 0}:
        if k < spectrum.shape[-1]:
            column = spectrum[..., k]
            mirrored = torch.roll(column.flip(-1), 1, dims=-1).conj()
            found[..., k] = 0.5 * (column + mirrored)
    return found


@cache
def _library() -> tuple[Any, Any]:
    """The library's networks and the spectral layer to build them from.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        with _quiet():
            from neuralop import models
            from neuralop.layers.spectral_convolution import SpectralConv
    except extras.UNLOADABLE as error:
        raise extras.missing("neuralop", "neural operators need", error) from None

    class Spectral(SpectralConv):  # type: ignore[misc]
        """v -> F^(-1)(W F v) on the kept frequencies, in the precision of v, for any grid."""

        def _size(self, shape: tuple[int, int], asked: Any) -> tuple[int, int]:
            """Nodes of the output along y and x."""
            if asked is not None:
                return int(asked[0]), int(asked[1])
            factors = self.resolution_scaling_factor or (1, 1)
            return round(shape[0] * factors[0]), round(shape[1] * factors[1])

        def forward(self, x: Any, output_shape: Any = None) -> Any:
            """(batch, channels, y, x) to the same shape, or to one of another resolution."""
            rows, columns = self._size(x.shape[-2:], output_shape)
            weight = self.weight.to_tensor()
            up = min(weight.shape[2], rows, x.shape[-2])
            across = min(weight.shape[3], columns // 2 + 1, x.shape[-1] // 2 + 1)
            first = weight.shape[2] // 2 - up // 2
            weight = weight[:, :, first : first + up, :across]
            spectrum = torch.fft.rfft2(x, norm="forward")[..., :across]
            # lowest kept frequency of y first
            spectrum = torch.roll(spectrum, up // 2, dims=-2)[..., :up, :]
            mixed = torch.einsum("biyx,ioyx->boyx", spectrum, weight)
            mixed = torch.nn.functional.pad(mixed, (0, 0, 0, rows - up))
            mixed = torch.roll(mixed, -(up // 2), dims=-2)
            mixed = hermitian(mixed, columns)
            value = torch.fft.irfft2(mixed, s=(rows, columns), norm="forward")
            return value if self.bias is None else value + self.bias

    return models, Spectral


def _inner(architecture: Architecture, channels: int) -> Any:
    """The library's network from (inputs, y, x) to ``channels`` fields on a periodic grid."""
    models, spectral = _library()
    common = {
        "in_channels": architecture.inputs + 2,
        "out_channels": channels,
        "hidden_channels": architecture.width,
        "n_layers": architecture.layers,
        "positional_embedding": None,
    }
    if architecture.kind == "uno":
        from neuralop.layers.fno_block import FNOBlocks

        return models.UNO(
            **common,
            **_u_shape(architecture),
            lifting_channels=2 * architecture.width,
            projection_channels=2 * architecture.width,
            # the default skip of this release cannot change the number of channels
            channel_mlp_skip="linear",
            operator_block=partial(FNOBlocks, conv_module=spectral),
        )
    factors = {"factorization": "tucker", "rank": architecture.rank}
    return models.FNO(
        **common,
        **(factors if architecture.kind == "tfno" else {}),
        n_modes=architecture.modes,
        conv_module=spectral,
    )


def _u_shape(architecture: Architecture) -> dict[str, Any]:
    """Half the nodes and twice the channels between the second and the second last layer."""
    inside, width = architecture.layers - 3, architecture.width
    full, half = list(architecture.modes), [max(2, n // 2) for n in architecture.modes]
    return {
        "uno_out_channels": [width, *[2 * width] * inside, width, width],
        "uno_n_modes": [full, *[half] * inside, half, full],
        "uno_scalings": [[1, 1], [0.5, 0.5], *[[1, 1]] * (inside - 1), [2, 2], [1, 1]],
    }


def build(architecture: Architecture, envelope: Any) -> Any:
    """A network from (batch, y, x) to (batch, *channels, y, x), its output times ``envelope``.

    With several inputs it takes (batch, inputs, y, x).

    Args:
        architecture: its size.
        envelope: shape (*channels, y, x); at most one axis of channels.
    """
    lead = tuple(envelope.shape[:-2])
    with _quiet():
        inner = _inner(architecture, math.prod(lead))

    def forward(module: Any, x: Any) -> Any:
        """With node coordinates in [0, 1] as two more inputs, on a padded grid."""
        x = x.unsqueeze(1) if x.ndim == 3 else x
        rows, columns = x.shape[2:]
        more = [padded_size(n, architecture.padding) - n for n in (rows, columns)]
        padded = torch.nn.functional.pad(x, (0, more[1], 0, more[0]))
        places = [
            torch.arange(n + k, dtype=x.dtype, device=x.device) / (n - 1)
            for n, k in zip((rows, columns), more, strict=True)
        ]
        grid = torch.stack(torch.meshgrid(*places, indexing="ij")).expand(len(x), -1, -1, -1)
        value = module.inner(torch.cat([padded, grid], dim=1))[..., :rows, :columns]
        return module.envelope.to(x.dtype) * value.reshape(len(x), *lead, rows, columns)

    buffers = {"envelope": torch.as_tensor(envelope, dtype=torch.float64)}
    fields = built(forward, {"inner": inner}, buffers)
    return _reading(fields, lead, architecture.outputs) if architecture.outputs else fields


def _reading(fields: Any, lead: tuple[int, ...], outputs: int) -> Any:
    """``fields`` averaged over POOL x POOL patches and mapped linearly to numbers.

    Patches make (batch, outputs) of (batch, y, x) independent of the resolution.
    """

    def forward(module: Any, x: Any) -> Any:
        value = torch.nn.functional.adaptive_avg_pool2d(module.fields(x), POOL)
        return module.linear(value.flatten(1))

    linear = torch.nn.Linear(math.prod(lead) * POOL**2, outputs)
    return built(forward, {"fields": fields, "linear": linear})
