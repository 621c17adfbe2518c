"""Are ``dps`` and ``diffpir`` those of deepinv? Step for step, with the same noise, on linear data.

    pip install deepinv
    python benchmarks/diffusion_deepinv.py

The source of a Poisson problem on 16² nodes under a mixture of two Gaussian fields with its exact
denoiser, its state at 128 points with noise of 1 % of the rms, 32 particles. deepinv (0.5) runs as
it is, by its own schedule and random numbers; its levels, weights and random numbers are then given
to the rules of pdeinv, and their ends are compared. What has to be translated:

- deepinv's states are images; ξ of 10 is an image's whole range here, so that no clamp is felt.
- its states of the variance-preserving schedule are those of pdeinv times a factor of the level.
- in its ``DPS`` the gradient enters the score, so that a step down from level s to t has the length
  s² - t² times its weight; the paper's, and pdeinv's, has the same length at all levels. deepinv's
  lengths are given to ``dps`` as its ``weight``, level by level.
- the images of its ``DiffPIR`` and the levels it counts in differ by a factor of two, so that its λ
  is twice ``tie``; it ends at its last level, noise included, where pdeinv goes on to 0.

Told are the root mean square difference of the ends over the rms of deepinv's, and of both the bias
of the mean and the pointwise spread in posterior standard deviations. Weights are deepinv's
defaults, which suit images and not this problem. deepinv has schedules in single precision.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import deepinv  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from diffusion_parts.judged import Yardstick  # noqa: E402
from diffusion_parts.laws import Oracle  # noqa: E402
from torch.nn.functional import pad  # noqa: E402

from pdeinv.engines.diffusion.diffpir import DiffPir, DiffPirConfig  # noqa: E402
from pdeinv.engines.diffusion.guided import Dps, GuidedConfig  # noqa: E402
from pdeinv.engines.diffusion.particles import Particles, ParticlesEngine, Stretch  # noqa: E402
from pdeinv.engines.requests import drive  # noqa: E402
from pdeinv.typing import Array  # noqa: E402

PARTICLES, SEED, IMAGE = 32, 3, 0.1
"""Images are ξ times ``IMAGE``, about ``MIDDLE``."""

ORACLE = Oracle("mixture .75", 16, 0.01)
CASE = ORACLE.case
WEIGHT, STEPS, TIE, FRESH, LEVELS = 1.0, 200, 1.0, 0.5, 100
MIDDLE = 0.5


class Exact(torch.nn.Module):
    """The denoiser of the mixture, on images (n, 1, 1, dim).

    Args:
        middle: the image of ξ = 0.
    """

    def __init__(self, middle: float = 0.0) -> None:
        super().__init__()
        self.middle = middle

    def forward(self, x: Any, sigma: Any, *_: Any, **__: Any) -> Any:
        law = CASE.law
        means, variance = (torch.tensor(a, dtype=x.dtype) for a in (law.means, law.variance))
        y = (x.reshape(len(x), -1) - self.middle) / IMAGE
        total = variance + (torch.as_tensor(sigma, dtype=x.dtype).reshape(-1, 1) / IMAGE) ** 2
        off = y[:, None] - means
        square = (off**2 / total[:, None]).sum(dim=2)
        share = torch.softmax(torch.tensor(np.log(law.weights), dtype=x.dtype) - square / 2, dim=1)
        each = means + (variance / total)[:, None] * off
        return self.middle + IMAGE * (share[..., None] * each).sum(dim=1).reshape(x.shape)


def physics() -> Any:
    """A by its singular values, for which deepinv has proximal maps in closed form."""
    u, s, v = (torch.tensor(a) for a in np.linalg.svd(CASE.matrix / IMAGE))
    n_d, dim = CASE.matrix.shape
    more = (0, dim - n_d)
    return deepinv.physics.DecomposablePhysics(
        U=lambda c, **_: c.reshape(len(c), -1)[:, :n_d] @ u.to(c.dtype).T,
        U_adjoint=lambda y, **_: pad(y @ u.to(y.dtype), more).reshape(len(y), 1, 1, dim),
        V=lambda c, **_: c @ v.to(c.dtype),
        V_adjoint=lambda x, **_: x @ v.to(x.dtype).T,
        mask=pad(s, more).reshape(1, 1, 1, dim),
        noise_model=deepinv.physics.GaussianNoise(float(CASE.noise.std[0])),
    )


@dataclass
class Replayed:
    """Random numbers that were drawn already, in their order."""

    left: list[Array] = field(default_factory=list)

    def standard_normal(self, shape: tuple[int, ...]) -> Array:
        return self.left.pop(0).reshape(shape)


def flat(x: Any) -> Array:
    return np.asarray(x.detach().double().numpy().reshape(len(x), -1))


def led(engine: ParticlesEngine, xi: Array, on: Stretch, rng: Any) -> Array:
    """One step of an engine from particles at a level."""
    posterior = CASE.posterior()
    state: Particles = BEGUN[engine.name]
    told = Particles(xi, 0, state.affine, state.shared, state.steepest, state.value)
    return drive(posterior, engine.led(posterior, told, on, rng))


BEGUN: dict[str, Particles] = {}


def begun(engine: ParticlesEngine) -> None:
    posterior = CASE.posterior()
    BEGUN[engine.name] = drive(posterior, engine.init(posterior, np.random.default_rng(0)))


def dps() -> tuple[Array, Array]:
    """Ends of deepinv's particles and of ours, (32, dim)."""
    generator = torch.Generator().manual_seed(SEED)
    theirs = deepinv.sampling.DPS(
        Exact(), num_steps=STEPS, weight=WEIGHT, rng=generator, minus_one_one=False
    )
    shape = (PARTICLES, 1, 1, CASE.matrix.shape[1])
    y = torch.tensor(CASE.data)[None].repeat(PARTICLES, 1)
    first = theirs.sde.sample_init(shape, rng=generator, t=theirs.solver.timesteps[0])
    start = generator.get_state()
    found = flat(theirs(y, physics(), x_init=first)) / IMAGE
    generator.set_state(start)
    times = theirs.solver.timesteps
    levels = [float(theirs.sde.sigma_t(t)) / IMAGE for t in times]
    xi = flat(first / theirs.sde.scale_t(times[0])) / IMAGE
    begun(Dps(GuidedConfig(levels=STEPS, chains=1, particles=PARTICLES)))
    n, sigma = len(CASE.data), float(CASE.noise.std[0])
    for here, there in pairwise(levels):
        length = WEIGHT * sigma * (here**2 - there**2)
        weight = length * (1 + BEGUN["dps"].steepest) / np.sqrt(n)
        engine = Dps(GuidedConfig(levels=STEPS, chains=1, particles=PARTICLES, weight=weight))
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64) if there > 0 else None
        noise = np.zeros_like(xi) if drawn is None else flat(drawn)
        xi = led(engine, xi, Stretch(here, there, 0.0, 1.0), Replayed([noise]))
    return found, xi


def diffpir() -> tuple[Array, Array]:
    """The same of DiffPIR."""
    theirs = deepinv.sampling.DiffPIR(
        Exact(MIDDLE), deepinv.optim.L2(), max_iter=LEVELS, zeta=FRESH, lambda_=TIE
    )
    shape = (PARTICLES, 1, 1, CASE.matrix.shape[1])
    about = torch.full(shape, MIDDLE, dtype=torch.float64)
    y = torch.tensor(CASE.data)[None] + physics().A(about)
    found = theirs(y, physics(), seed=SEED, x_init=about)
    numbers = [int(k) for k in theirs.seq]
    levels = [float(theirs.sigmas[k]) for k in numbers]
    torch.manual_seed(SEED)  # the generator that DiffPIR draws from, as its argument seed sets it
    drawn = [flat(torch.randn_like(about)) for _ in numbers]
    # a library's default stands in its start; so far above the fields it does not matter
    xi = np.sqrt(levels[0] ** 2 - 4 * theirs.sigma**2) * drawn[0] / (2 * IMAGE)
    engine = DiffPir(
        DiffPirConfig(levels=LEVELS, chains=1, particles=PARTICLES, tie=TIE / 2, fresh=FRESH)
    )
    begun(engine)
    levels = [s / (2 * IMAGE) for s in levels]
    for here, there, noise in zip(levels[:-1], levels[1:], drawn[1:], strict=True):
        xi = led(engine, xi, Stretch(here, there, 0.0, 1.0), Replayed([noise]))
    last = float(theirs.sqrt_alphas_cumprod[0])
    return (flat(found) - MIDDLE) / IMAGE / last, xi


ROWS: dict[str, Callable[[], tuple[Array, Array]]] = {"dps": dps, "diffpir": diffpir}


def main() -> None:
    stick = Yardstick(ORACLE)
    print("| rule | difference | bias | pointwise | theirs: bias | pointwise |")
    print("|---|---|---|---|---|---|", flush=True)
    for name, both in ROWS.items():
        theirs, ours = both()
        off = float(np.sqrt(np.mean((theirs - ours) ** 2) / np.mean(theirs**2)))
        told = [stick.row(xi)[k] for xi in (ours, theirs) for k in ("bias", "pointwise")]
        print(f"| `{name}` | {off:.1e} | {' | '.join(f'{v:.3f}' for v in told)} |", flush=True)


if __name__ == "__main__":
    main()
