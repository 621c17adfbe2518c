"""Which unknowns a data set is solved at, and everything else that decides its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.special import ndtri

from pdeinv.bayes.fields.basis import BASIS
from pdeinv.bayes.prior import Prior
from pdeinv.config import fingerprint
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.foreign import parse_json
from pdeinv.io import netcdf
from pdeinv.io.arrays import opened_arrays, write_arrays
from pdeinv.io.draws import whitened_draws
from pdeinv.model.observed import Sensors
from pdeinv.provenance import Source
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["Around", "Plan", "Sampling", "white_draws"]


Sampling = Literal["prior", "lhs", "sobol"]
"""Independent draws, a Latin hypercube of all n samples, or a scrambled Sobol sequence."""

SOBOL_BITS = 30
SOBOL_DIM = 21201


def white_draws(sampling: Sampling, seed: int, n: int, rows: Sequence[int], dim: int) -> Array:
    """Samples ``rows`` of n points whose margins are standard normal, shape (len(rows), dim).

    Independent and Sobol points depend on the seed and their number alone, so that n may grow; a
    Latin hypercube (McKay, Beckman and Conover 1979) is a design of exactly n points. The Sobol
    sequence (Sobol 1967; scrambled as by Matousek 1998) and the hypercube reach the normal
    distribution through its quantile function.

    Raises:
        ConfigError: more dimensions than the Sobol sequence has.
    """
    if sampling == "prior":
        return np.stack([stream(seed, "sample", i).standard_normal(dim) for i in rows])
    if sampling == "lhs":
        return np.asarray(ndtri(_hypercube(seed, n, dim)[list(rows)]))
    return np.concatenate([_sobol(seed, i, dim) for i in rows])


@lru_cache(maxsize=1)
def _hypercube(seed: int, n: int, dim: int) -> Array:
    """All n points in the unit cube; kept, since every batch needs some of them."""
    from scipy.stats import qmc

    return np.asarray(qmc.LatinHypercube(dim, rng=stream(seed, "hypercube")).random(n))


@lru_cache(maxsize=1)
def _sequence(seed: int, dim: int) -> Any:
    from scipy.stats import qmc

    if dim > SOBOL_DIM:
        raise ConfigError(
            f"--design sobol has {SOBOL_DIM} dimensions, the problem has {dim} unknowns; use "
            "prior or lhs"
        )
    return qmc.Sobol(dim, bits=SOBOL_BITS, rng=stream(seed, "sobol"))


def _sobol(seed: int, i: int, dim: int) -> Array:
    """Point ``i`` of the sequence, shape (1, dim).

    Points lie on a lattice that contains 0; half a cell is added so that the quantile is finite.
    """
    engine = _sequence(seed, dim)
    if engine.num_generated > i:
        engine.reset()
    if engine.num_generated < i:
        engine.fast_forward(i - engine.num_generated)
    return np.asarray(ndtri(engine.random(1) + 0.5 ** (SOBOL_BITS + 1)))


@dataclass(frozen=True)
class Around:
    """xi ~ N(mean, (inflation · root)(inflation · root)^T), fitted to earlier draws.

    Attributes:
        mean: shape (dim,).
        root: square root of the draws' covariance, shape (dim, dim).
        inflation: factor on the standard deviations.
        source: the file of the draws.
    """

    mean: Array
    root: Array
    inflation: float
    source: Source

    @classmethod
    def from_result(cls, path: Path, prior: Prior, inflation: float = 1.5) -> Around:
        """The Gaussian of the whitened draws of a result file.

        With n draws of dimension d the covariance is shrunk by d / (d + n) towards its diagonal, so
        that few draws do not leave directions without variance.

        Raises:
            DataSchemaError: the file holds no whitened draws of this prior, or fewer than 10.
            ConfigError: the factor is not positive.
        """
        if not inflation > 0:
            raise ConfigError(f"--inflation must be positive, got {inflation:g}")
        draws = whitened_draws(netcdf.read_tree(path), path, prior)
        if len(draws) < 10:
            raise DataSchemaError(
                f"{path}: {len(draws)} draw(s) give no spread; use a result with at least 10 draws"
            )
        dim, cov = draws.shape[1], np.atleast_2d(np.cov(draws.T))
        shrink = dim / (dim + len(draws))
        cov = (1 - shrink) * cov + shrink * np.diag(np.diag(cov)) + 1e-12 * np.eye(dim)
        return cls(draws.mean(0), np.linalg.cholesky(cov), inflation, Source.of(path))


@dataclass(frozen=True)
class Plan:
    """What to solve.

    Attributes:
        problem: registered name.
        problem_config: its configuration.
        sensors: where the data are.
        n: how many samples.
        seed: root seed.
        grid: shape of the regular grid for operator learning (rows first), or None.
        level: mesh level of the reference model.
        design: where unknowns are drawn; None for the prior.
        sampling: how they are drawn there.
        times: of gridded fields that vary in time; empty for the problem's own (the last).
        noise_std: σ of the observations that it is made for, shape (n_obs,); decides no sample.
        batch_size: samples of one batch; how much an interruption can lose.
        inputs: the files that the problem reads.
        jacobian: unit directions per sample in which the derivative is stored; 0 for none.
    """

    problem: str
    problem_config: Mapping[str, Any]
    sensors: Sensors
    n: int
    seed: int
    grid: tuple[int, ...] | None = None
    level: int = 0
    design: Around | None = None
    batch_size: int = 16
    jacobian: int = 0
    sampling: Sampling = "prior"
    times: tuple[float, ...] = ()
    noise_std: Array | None = None
    inputs: tuple[Source, ...] = ()

    @property
    def n_obs(self) -> int:
        """The number of data of a sample; none where draws of the prior are all that is wanted."""
        return len(next(iter(self.sensors.values())))

    def draw(self, i: int, dim: int) -> Array:
        """The whitened unknown of sample ``i``, shape (dim,)."""
        return np.asarray(self.draws([i], dim)[0])

    def draws(self, rows: Sequence[int], dim: int) -> Array:
        """The whitened unknowns of samples ``rows``, shape (len(rows), dim)."""
        white = white_draws(self.sampling, self.seed, self.n, rows, dim)
        if self.design is None:
            return white
        if len(self.design.mean) != dim:
            raise ConfigError(
                f"--around: {self.design.source.name} has {len(self.design.mean)} unknowns, the "
                f"problem has {dim}; use a result of the same problem"
            )
        # one product per sample: blocks would round differently from batch to batch
        spread = np.stack([self.design.root @ w for w in white])
        return np.asarray(self.design.mean + self.design.inflation * spread)

    def probes(self, i: int, dim: int) -> Array:
        """The directions of sample ``i``: random unit vectors, shape (min(jacobian, dim), dim).

        Where ``jacobian`` is at least ``dim`` they are the axes, hence the whole derivative.
        """
        if self.jacobian >= dim:
            return np.eye(dim)
        directions = stream(self.seed, "probe", i).standard_normal((self.jacobian, dim))
        return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True))

    def table(self) -> dict[str, Any]:
        """The resolved configuration as TOML-ready data."""
        design: dict[str, Any] = {"kind": "prior", "sampling": self.sampling}
        if self.design is not None:
            source, factor = self.design.source, self.design.inflation
            design |= {"kind": "around", "inflation": factor}
            design |= {"draws": source.name, "draws_sha256": source.sha256}
        return {
            "seed": self.seed,
            "n": self.n,
            "level": self.level,
            "grid": None if self.grid is None else list(self.grid),
            "batch_size": self.batch_size,
            "jacobian": self.jacobian,
            "times": list(self.times),
            "design": design,
            "problem": {"name": self.problem, **self.problem_config},
        }

    def decides(self) -> dict[str, Any]:
        """All that decides the samples.

        ``n`` is part of it for a Latin hypercube only; else it may grow on resume.
        """
        free = () if self.sampling == "lhs" else ("n",)
        table = {k: v for k, v in self.table().items() if k not in free}
        places = {c: np.asarray(v).tolist() for c, v in self.sensors.items()}
        files = {f"sha256 of {one.name}": one.sha256 for one in self.inputs}
        return {**table, "sensors": places, "basis": BASIS, **files}

    def mark(self) -> str:
        """A fingerprint of that."""
        return fingerprint(self.decides())

    def key(self) -> str:
        """The mark with the number of samples: what a worker's copy must agree with."""
        return f"{self.mark()}-{self.n}"

    def save(self, file: Path) -> None:
        """Write the plan, for workers that share nothing but the folder."""
        held = ("sensors", "design", "noise_std")
        plain = {k: v for k, v in vars(self).items() if k not in held}
        arrays = {f"sensors.{c}": np.asarray(v) for c, v in self.sensors.items()}
        if self.noise_std is not None:
            arrays["noise_std"] = self.noise_std
        if self.design is not None:
            plain["design"] = [self.design.inflation, *self.design.source]
            arrays |= {"design.mean": self.design.mean, "design.root": self.design.root}
        write_arrays(file, plan=json.dumps(plain), **arrays)

    @classmethod
    def load(cls, file: Path) -> Plan:
        """What :meth:`save` wrote.

        Raises:
            DataSchemaError: missing or damaged.
        """
        remedy = "repeat the first command with --overwrite"
        with opened_arrays(
            file, lambda kind: DataSchemaError(f"{file} cannot be read ({kind}); {remedy}")
        ) as data:
            arrays = {name: data[name] for name in data.files}
            plain = parse_json(str(arrays.pop("plan")))
        sensors = {
            k.removeprefix("sensors."): v for k, v in arrays.items() if k.startswith("sensors.")
        }
        if "design" in plain:
            inflation, *source = plain["design"]
            fitted = arrays["design.mean"], arrays["design.root"]
            plain["design"] = Around(*fitted, inflation, Source(*source))
        plain["inputs"] = tuple(Source(*one) for one in plain["inputs"])
        lists = {name: tuple(plain[name]) for name in ("times", "grid") if plain[name] is not None}
        return cls(**{**plain, **lists}, sensors=sensors, noise_std=arrays.get("noise_std"))

    def batch(self, k: int) -> range:
        """The samples of batch ``k``."""
        return range(k * self.batch_size, min(self.n, (k + 1) * self.batch_size))

    @property
    def n_batches(self) -> int:
        """How many batches there are."""
        return -(-self.n // self.batch_size)
