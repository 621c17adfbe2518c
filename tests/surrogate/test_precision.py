"""Precisions of a training: what is computed in which, and what that costs in accuracy."""

import numpy as np
import pytest

from pdeinv.plugins.fitting import FitRun
from pdeinv.surrogates.common.torch_env import autocast, exact_spectra, seeded
from pdeinv.surrogates.operators.network import Architecture, build
from pdeinv.surrogates.training.config import Data, TrainingConfig
from pdeinv.surrogates.training.train import train

torch = pytest.importorskip("torch")


def fields(n):
    rng = np.random.default_rng(0)
    t = np.linspace(0, 1, 9)
    c = rng.standard_normal((n, 2, 1, 1))
    x = c[:, 0] * np.sin(3 * t)[:, None] + c[:, 1] * np.cos(2 * t)[None]
    return x, np.tanh(x)


def network(seed=0):
    return seeded(seed, "net", 0, lambda: build(Architecture((4, 4), 6, 2, 0.25), np.ones((9, 9))))


def fitted(dtype):
    x, y = fields(40)
    module = network()
    data = Data(x[:32], y[:32], x[32:], y[32:])
    config = TrainingConfig(epochs=12, batch_size=8, learning_rate=1e-2)
    loss = []
    history = train(
        module, data, lambda p, t: (loss.append(p.dtype), (p - t).square().mean())[1], config, 0,
        FitRun(dtype=dtype),
    )  # fmt: skip
    return module, history, set(loss)


def test_an_operator_trains_in_every_precision():
    losses = {}
    for dtype in ("float32", "float64", "bfloat16"):
        module, history, kinds = fitted(dtype)
        losses[dtype] = history.best
        real = torch.float64 if dtype == "float64" else torch.float32
        assert kinds == {real}
        weights = {p.dtype for p in module.parameters()}
        assert weights == {real, torch.complex128 if dtype == "float64" else torch.complex64}
        assert history.best < 0.5 * history.valid[0]
    assert losses["float64"] == pytest.approx(losses["float32"], rel=1e-2)
    assert losses["float64"] != losses["float32"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.5)


def test_fourier_layers_compute_in_float32_and_the_rest_does_not():
    module, x = network(), torch.as_tensor(fields(3)[0], dtype=torch.float32)
    seen, spectra = [], []
    for layer in module.modules():
        if type(layer).__name__ == "Conv1d":
            layer.register_forward_hook(lambda *a: seen.append(a[2].dtype))
    real = torch.fft.rfft2

    def watched(v, **how):
        spectra.append(v.dtype)
        return real(v.float(), **how)

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(torch.fft, "rfft2", watched)
        with exact_spectra(module, "bfloat16"), autocast(x.device, "bfloat16"):
            half = module(x)
        assert set(spectra) == {torch.float32}
        assert torch.bfloat16 in seen
        exact = module(x)
        assert 1e-6 < (half.float() - exact).abs().max() / exact.abs().max() < 0.05
        # negative control: unguarded, the layers would hand half precision to the transform
        with autocast(x.device, "bfloat16"):
            module(x)
        assert torch.bfloat16 in spectra
