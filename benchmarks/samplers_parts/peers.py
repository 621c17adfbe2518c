"""CUQIpy's NUTS, MALA and pCN and tinyDA's pCN on our posterior, one chain after another.

In whitened coordinates the prior is N(0, I), as CUQIpy's pCN needs it: it does not centre one with
another mean. Every chain starts at a draw of the Laplace approximation, which costs the peers
nothing but for NUTS, whose coordinates it gives: their defaults are ones and prior draws.
"""

import contextlib
import io
import sys
import time
import types

import numpy as np

from pdeinv.engines.gaussian.approximation import laplace_reference
from pdeinv.engines.requests import drive
from pdeinv.errors import SolverDiverged
from samplers_parts.judged import row

MALA_ACCEPTS = 0.57
MALA_PILOTS = 40


def missing():
    """Why there are no peers here, or None."""
    try:
        import cuqi  # noqa: F401

        ray = types.ModuleType("ray")  # tinyDA imports it and decorates, whether it is used or not
        ray.remote = lambda kind: kind
        sys.modules.setdefault("ray", ray)
        import tinyDA  # noqa: F401
    except ImportError as error:
        return str(error)
    return None


class Target:
    """Log density and its gradient at z, xi = mean + C^(1/2) z; the last point is kept."""

    def __init__(self, posterior, reference=None):
        self.posterior, self.reference, self.calls = posterior, reference, 0
        self.last = (None, 0.0, None)

    def _at(self, z):
        z = np.asarray(z, dtype=float).ravel()
        if self.last[0] is None or not np.array_equal(self.last[0], z):
            self.calls += 1
            self.last = (z.copy(), *self._asked(z))
        return self.last

    def _asked(self, z):
        try:
            at = self.posterior.linearize(
                z if self.reference is None else self.reference.unwhiten(z)
            )
        except SolverDiverged:
            return -np.inf, np.zeros_like(z)
        slope = at.gradient if self.reference is None else self.reference.root(at.gradient)
        return -at.neg_log_posterior, -slope

    def log_density(self, z):
        return self._at(z)[1]

    def gradient(self, z):
        return self._at(z)[2].copy()


def approximation(posterior, rng):
    return drive(posterior, laplace_reference(posterior, rng, "prior"))


def one_chain(act, seed):
    """Draws, CPU seconds of warm-up and of all, calls of the model, acceptance."""
    np.random.seed(seed)  # noqa: NPY002 - both packages draw from the global state
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        return act()


def cuqi_sampled(sampler, warm_up, draws, tune=0.1):
    """The time at the end of the warm-up, and the draws."""
    sampler.warmup(warm_up, tune_freq=tune)
    warm = time.process_time()
    sampler.sample(draws)
    return warm, sampler.get_samples().samples[:, -draws:].T, float(np.mean(sampler._acc[-draws:]))


def nuts(posterior, _start, length, rng):
    """In Laplace coordinates; the search for them is part of the warm-up."""
    import cuqi

    reference = approximation(posterior, rng)
    target = Target(posterior, reference)
    density = cuqi.distribution.UserDefinedDistribution(
        dim=posterior.dim, logpdf_func=target.log_density, gradient_func=target.gradient
    )
    first = 1.5 * rng.standard_normal(posterior.dim)
    sampler = cuqi.sampler.NUTS(density, initial_point=first, opt_acc_rate=0.8)
    # of every step: with the default, ten updates in all, the step is not found
    warm, zs, accepted = cuqi_sampled(sampler, *length, tune=1 / length[0])
    return warm, np.array([reference.unwhiten(z) for z in zs]), accepted, target.calls, True


def mala(posterior, start, length, _rng):
    """It does not tune itself: its step is found here, in pilots that make up the warm-up."""
    import cuqi

    target = Target(posterior)
    density = cuqi.distribution.UserDefinedDistribution(
        dim=posterior.dim, logpdf_func=target.log_density, gradient_func=target.gradient
    )
    sampler = cuqi.sampler.MALA(density, scale=1e-3, initial_point=start)
    each = length[0] // MALA_PILOTS
    for k in range(MALA_PILOTS):
        sampler.sample(each)
        gap = np.mean(sampler._acc[-each:]) - MALA_ACCEPTS
        sampler.scale *= np.exp(4 * gap / np.sqrt(1 + k / 4))
    warm = time.process_time()
    sampler.sample(length[1])
    draws = sampler.get_samples().samples[:, -length[1] :].T
    return warm, draws, float(np.mean(sampler._acc[-length[1] :])), target.calls, True


def cuqi_pcn(posterior, start, length, _rng):
    import cuqi

    calls = []

    def log_likelihood(x):
        calls.append(1)
        return -float(posterior.misfit(np.asarray(x, dtype=float).ravel()))

    dim = posterior.dim
    likelihood = cuqi.likelihood.UserDefinedLikelihood(dim=dim, logpdf_func=log_likelihood)
    prior = cuqi.distribution.Gaussian(np.zeros(dim), 1.0)
    target = cuqi.distribution.Posterior(likelihood, prior)
    sampler = cuqi.sampler.PCN(target, scale=0.05, initial_point=start)
    return *cuqi_sampled(sampler, *length, tune=0.01), len(calls), False


def tinyda_pcn(posterior, start, length, _rng):
    """Its adaptation goes on; the first part is left out as the warm-up."""
    import tinyDA
    from scipy.stats import multivariate_normal

    times, dim = [], posterior.dim

    def model(x):
        times.append(time.process_time())
        return posterior.predict(x)

    noise = tinyDA.GaussianLogLike(posterior.data, np.diag(posterior.noise.std**2))
    on = tinyDA.Posterior(multivariate_normal(np.zeros(dim), np.eye(dim)), noise, model)
    proposal = tinyDA.CrankNicolson(scaling=0.05, adaptive=True)
    found = tinyDA.sample(
        on, proposal, sum(length), 1, initial_parameters=[start], force_sequential=True
    )
    draws = np.array([link.parameters for link in found["chain_0"]])[-length[1] :]
    accepted = np.mean(np.any(np.diff(draws, axis=0) != 0, axis=1))
    return times[length[0] + 1], draws, float(accepted), len(times), False


PEERS = {
    "CUQIpy NUTS, Laplace coordinates": nuts,
    "CUQIpy MALA": mala,
    "CUQIpy pCN": cuqi_pcn,
    "tinyDA pCN": tinyda_pcn,
}


def sampled(name, posterior, starts, length, seed):
    """A row of the chains of one peer, one after another from ``starts``."""
    found, seconds = [], np.zeros(2)
    for k, start in enumerate(starts):
        rng, began = np.random.default_rng([seed, k]), time.process_time()
        act = PEERS[name]
        one = one_chain(lambda: act(posterior, start, length, rng), 10 * seed + k)  # noqa: B023
        seconds += one[0] - began, time.process_time() - began
        found.append(one)
    calls = sum(one[3] for one in found)
    work = {"solves": calls, "gradients": calls if found[0][4] else 0}
    accepted = float(np.mean([one[2] for one in found]))
    xi = np.array([one[1] for one in found])
    return row(name, xi, *seconds.tolist(), acceptance=accepted, **work)
