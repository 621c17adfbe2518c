"""One-line faults by what they spoil, each with the tests that must fail.

``old`` stands exactly once in the files of ``room``, so that a line may move among them; where it
is gone, the fault has to be written anew.
"""

from dataclasses import dataclass

__all__ = ["FAULTS", "Fault"]


@dataclass(frozen=True)
class Fault:
    """A change of one line and who must see it.

    Attributes:
        room: a folder or file of the sources.
        old: a part of one line there.
        new: what takes its place.
        tests: a test file.
        k: which of its tests, as ``pytest -k`` has it.
    """

    room: str
    old: str
    new: str
    tests: str
    k: str


ESTIMATORS = "pdeinv/engines/mcmc/estimators.py"
SPLIT = "tests/statistics/test_two_level_estimators.py"
NOISE, OF_NOISE = "pdeinv/bayes/noise.py", "tests/unit/test_noise.py"
SAYS = "tests/unit/test_results_say.py"
EKI, GAUSSIAN = "pdeinv/engines/eki.py", "tests/statistics/test_engines_gaussian.py"
SCALING, SCALES = "surrogates/common/scaling.py", "tests/surrogate/test_scales.py"
POINT, POSTERIOR = "pdeinv/bayes/point.py", "tests/unit/test_posterior.py"
KERNEL, HMC = "pdeinv/engines/mcmc/kernel.py", "tests/unit/test_hmc.py"
OPTIMIZERS = "tests/unit/test_optimizers.py"
FAILED = "tests/robustness/test_failed_derivatives.py"

FAULTS = {
    # estimators
    "the split takes the other side": Fault(
        ESTIMATORS, "inside = fine.delta <= 0", "inside = fine.delta >= 0", SPLIT, "unbiased"
    ),
    "the split forgets its weight": Fault(
        ESTIMATORS, " + (w - 1) * _mean(inverse_r, q_s)", "", SPLIT, "unbiased"
    ),
    "the plain estimate is not centred": Fault(
        ESTIMATORS, "_mean(1 - r, fine.q - base_mean)", "_mean(1 - r, fine.q)", SPLIT, "plain"
    ),
    "a spread is called a standard error": Fault(
        ESTIMATORS,
        "spread / np.sqrt(n)",
        "spread",
        "tests/unit/test_estimators_without_value.py",
        "replicates",
    ),
    "a step of tempering too long": Fault(
        "pdeinv/engines/acceptance.py",
        "else min(0.0, log_ratio)",
        "else log_ratio",
        "tests/unit/test_acceptance.py",
        "metropolis",
    ),
    "pcn forgets the reference's ratio": Fault(
        "pdeinv/engines/mcmc/pcn.py",
        "float(cost(state.xi) - cost(z) - cost(xi) + cost(moved))",
        "0.0",
        "tests/statistics/test_engines_oracle.py",
        "pcn",
    ),
    # noise
    "independent errors add standard deviations": Fault(
        NOISE,
        "np.sqrt(self.std**2 + variance)",
        "self.std + np.sqrt(variance)",
        OF_NOISE,
        "independent_error",
    ),
    "full noise forgets the error": Fault(
        NOISE,
        "self.covariance + np.diag(variance)",
        "self.covariance",
        OF_NOISE,
        "independent_error",
    ),
    "scaled noise scales deviations": Fault(
        NOISE, "np.sqrt(factor) * self.std", "factor * self.std", OF_NOISE, "scaling"
    ),
    "samples by the transposed root": Fault(
        NOISE, "white @ self.root.T", "white @ self.root", OF_NOISE, "samples"
    ),
    "a misfit without its half": Fault(
        NOISE, "0.5 * np.vecdot(white, white)", "np.vecdot(white, white)", OF_NOISE, "misfit"
    ),
    "whitening is its own transpose": Fault(
        NOISE,
        "self._solved(w, transposed=True)",
        "self._solved(w, transposed=False)",
        OF_NOISE,
        "transpose",
    ),
    # what results say
    "predictive draws without noise": Fault(
        "pdeinv/jobs/invert",
        " + posterior.noise.sample(rng,",
        " + 0 * posterior.noise.sample(rng,",
        SAYS,
        "predictive",
    ),
    "no inverse-crime note": Fault(
        "pdeinv/jobs/invert/request.py",
        "case.made_on <= run.level",
        "case.made_on < run.level - 9",
        SAYS,
        "inverse_crime",
    ),
    "inverse crime on finer data too": Fault(
        "pdeinv/jobs/invert/request.py",
        "case.made_on <= run.level",
        "case.made_on <= 99",
        SAYS,
        "inverse_crime",
    ),
    # ensemble Kalman inversion
    "the controller weighs the mean twice": Fault(
        EKI, "n_data / (2 * mean) if", "n_data / mean if", GAUSSIAN, "misfit_step"
    ),
    "the controller takes the shorter step": Fault(
        EKI,
        "min(max(by_mean, by_variance), left)",
        "min(min(by_mean, by_variance), left)",
        GAUSSIAN,
        "misfit_step",
    ),
    "an update of the whole time": Fault(
        EKI, "np.eye(n_data) / dt, lower", "np.eye(n_data), lower", GAUSSIAN, "kalman"
    ),
    "perturbations of the whole noise": Fault(
        EKI,
        "state.predictions.shape) / np.sqrt(dt)",
        "state.predictions.shape)",
        GAUSSIAN,
        "eki_reaches",
    ),
    # scales and splits
    "scaling fitted on held-out rows": Fault(
        "surrogates/common/lesson.py",
        "self.dataset.values[self.split.train]",
        "self.dataset.values",
        SCALES,
        "held_out or lesson",
    ),
    "inputs scaled on held-out rows": Fault(
        "surrogates/common/lesson.py",
        "self.dataset.xi[self.split.train]",
        "self.dataset.xi",
        SCALES,
        "lesson",
    ),
    "tested rows are trained on": Fault(
        "surrogates/common/split.py",
        "np.sort(order[2 * k :])",
        "np.sort(order[k:])",
        SCALES,
        "split",
    ),
    "noise as a share of the largest value": Fault(
        SCALING, "np.sqrt(np.mean(values.var(axis=0)))", "np.max(np.abs(values))", SCALES, "origin"
    ),
    "errors relative to the data themselves": Fault(
        SCALING,
        "np.sum((values - mean) ** 2, axis=1)",
        "np.sum(values**2, axis=1)",
        SCALES,
        "origin",
    ),
    "a scale that knows the unit": Fault(
        SCALING, "ROUNDING * np.abs(x).max(axis=0)", "ROUNDING", SCALES, "standard"
    ),
    "constant data are learned": Fault(
        "surrogates/common/lesson.py",
        "if constant(self.dataset.values).all():",
        "if False:",
        SCALES,
        "said_so",
    ),
    "spectra that are not Hermitian": Fault(
        "surrogates/operators/network.py",
        "0.5 * (column + mirrored)",
        "column",
        "tests/surrogate/test_fno.py",
        "hermitian",
    ),
    # gradients
    "the gradient points away from the prior": Fault(
        POINT, "actions.vjp(white) + xi", "actions.vjp(white) - xi", POSTERIOR, "gradient"
    ),
    "gradients of rows without the prior": Fault(
        POINT,
        "self.noise.whiten_transpose(white)) + xis",
        "self.noise.whiten_transpose(white))",
        "tests/unit/test_whitened_rows.py",
        "alone_and_among_rows",
    ),
    "the adjoint forgets the transform": Fault(
        "pdeinv/bayes/prior.py",
        "self.transform.derivative(self.gaussian(xi)) * w",
        "w",
        "tests/unit/test_priors.py",
        "vjp",
    ),
    "rows forget the transform": Fault(
        "pdeinv/bayes/prior_rows.py",
        "_transposed(prior.field, slope() * ws)",
        "_transposed(prior.field, ws)",
        "tests/unit/test_whitened_rows.py",
        "its_derivatives",
    ),
    "a kick of the whole density": Fault(
        KERNEL,
        "self.reference.root(at.gradient) - z",
        "self.reference.root(at.gradient)",
        HMC,
        "energy_error",
    ),
    "a tilt without its tangent": Fault(
        "pdeinv/model/tangent.py",
        "at.jvp(dx) + tilt.jvp(dx)",
        "at.jvp(dx)",
        "tests/unit/test_tangent.py",
        "derivatives",
    ),
    "a process with another slope": Fault(
        "surrogates/gaussian_process/regression.py",
        "mean[:, None] * x) / self.lengths**2",
        "mean[:, None] * x) / self.lengths",
        "tests/surrogate/test_gp.py",
        "derivative",
    ),
    "a network forgets its inputs' scale": Fault(
        "surrogates/common/mlp.py",
        "at.jvp(v / self.inputs.std) @ decoder",
        "at.jvp(v) @ decoder",
        "tests/surrogate/test_latent.py",
        "stored_and_differentiated",
    ),
    "a search that climbs its memory": Fault(
        "pdeinv/engines/gaussian/lbfgs.py",
        "(alphas[i] - (y[i] @ q)",
        "(alphas[i] + (y[i] @ q)",
        OPTIMIZERS,
        "lbfgs_direction",
    ),
    "a Laplace root that is its covariance": Fault(
        "pdeinv/engines/gaussian/approximation.py",
        "1 / np.sqrt(1 + self.eigenvalues) - 1",
        "1 / (1 + self.eigenvalues) - 1",
        GAUSSIAN,
        "laplace_actions",
    ),
    "a discrepancy of twice the noise": Fault(
        "pdeinv/engines/regularized/gauss_newton.py",
        "wanted = 0.5 * self.config",
        "wanted = self.config",
        "tests/unit/test_gauss_newton.py",
        "discrepancy",
    ),
    # guards
    "what is not a number is accepted": Fault(
        "pdeinv/engines/acceptance.py",
        "-math.inf if math.isnan(log_ratio) else ",
        "",
        "tests/unit/test_acceptance.py",
        "metropolis",
    ),
    "derivatives that are not finite pass": Fault(
        "pdeinv/model/rows.py",
        'finite(at.vjp(w), "gradient")',
        "at.vjp(w)",
        FAILED,
        "a_row_says or cracked or gradient_is_not",
    ),
    "rows that are not finite pass": Fault(
        "pdeinv/model/rows.py",
        "reasons = checked(found).failures",
        "reasons = found.failures",
        FAILED,
        "does_not_say_so or a_row_says",
    ),
    "failed actions are not counted": Fault(
        POINT,
        "self.counters.count(self.on.model.kind, failed=1)",
        "pass",
        FAILED,
        "single_derivatives",
    ),
    "most solves may fail": Fault(
        "pdeinv/engines/run/chain.py",
        "FAILED_SHARE = 0.5",
        "FAILED_SHARE = 1.5",
        "tests/robustness/test_driver_failures.py",
        "mostly_failed",
    ),
    "an unknown that is not finite is solved for": Fault(
        "pdeinv/model/reference.py",
        "            check_finite(m)",
        "            pass",
        "tests/unit/test_reference.py",
        "not_finite",
    ),
    "linearizing is not watched": Fault(
        "surrogates/common/bound.py",
        "        self.watch.note(xi)\n",
        "        pass\n",
        "tests/surrogate/test_identity.py",
        "linearizing",
    ),
    "searches begin where nothing was trained": Fault(
        "pdeinv/engines/solvable.py",
        "if known is None:",
        "if True:",
        "tests/surrogate/test_trained_around.py",
        "moves_into",
    ),
    "noise of zero is taken": Fault(
        NOISE, "(self.std > 0)", "(self.std >= 0)", OF_NOISE, "bad_standard"
    ),
    "an output that exists is replaced": Fault(
        "pdeinv/io/atomic.py",
        "if not (overwrite or resume):",
        "if False:",
        "tests/unit/test_atomic.py",
        "existing",
    ),
    "streams of one name are one": Fault(
        "pdeinv/rng.py",
        "key = (zlib.crc32(name.encode()), k)",
        "key = (zlib.crc32(name.encode()), 0)",
        "tests/unit/test_rng.py",
        "number",
    ),
    "a verdict without a limit": Fault(
        "pdeinv/jobs/comparison.py",
        "if not sd <= REJECT_SD:",
        "if False:",
        "tests/surrogate/test_evaluation.py",
        "verdict",
    ),
}
