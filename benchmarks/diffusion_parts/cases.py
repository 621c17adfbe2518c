"""Laws that a prior is learned of, and test cases of them from a finer mesh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from learned_parts.kept import command

from pdeinv.bayes.fields.base import DenseField
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import FieldPrior, positive
from pdeinv.bayes.transforms import Exponential, Identity
from pdeinv.config import dump_toml
from pdeinv.io import datasets
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import PosteriorRecipe, make_problem
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["FINER", "LAWS", "POINTS", "SEED", "Law", "Learned"]

SEED, FIELDS, POINTS = 1, 2000, 128
FINER = 3
"""Data come from a mesh so many times as fine."""

NODES = [32, 32]
PHASES = {"kind": "two-phase", "grid": NODES}
STATIC = {"wavenumbers": [0.0], "quantity": "source", "truncation": {"kind": "dirichlet"}}


@dataclass(frozen=True)
class Law:
    """A problem with the law of its unknown.

    Attributes:
        name: of the problem.
        table: its configuration, with ``cells`` along an axis.
        between: a value between two phases, where there are such.
        coupling: the last one of ``pnp-dm``, small beside the short waves that data tell of.
        gaussian: whether m is Gaussian.
    """

    name: str
    table: Mapping[str, Any]
    between: float | None
    coupling: float
    gaussian: bool = False


LAWS = {
    "darcy phases": Law("darcy", {"cells": [31, 31], "unknown": PHASES}, 7.5, 0.3),
    "darcy field": Law(
        "darcy",
        {
            "cells": [31, 31],
            "unknown": {
                "kind": "log-gaussian", "smoothness": 1.0, "length": 0.471, "std": 0.69,
                "mean": 1.79, "modes": 400, "grid": NODES,
            },
        },
        None,
        0.05,
    ),
    "poisson phases": Law(
        "helmholtz",
        {**STATIC, "cells": 31, "unknown": {**PHASES, "low": -1.0, "high": 1.0}},
        0.0,
        0.3,
    ),
    # (9 - Δ)^(-2) without its boundary: Matérn of smoothness 1, length sqrt(2) / 3
    "poisson field": Law(
        "helmholtz",
        {
            **STATIC,
            "cells": 31,
            "unknown": {
                "kind": "gaussian", "smoothness": 1.0, "length": 0.471, "modes": 400, "grid": NODES
            },
        },
        None,
        0.05,
        gaussian=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Learned:
    """A law with the fields and the prior that were made of it.

    Attributes:
        law: whose they are.
        work: where files lie.
        epochs: of the training.
        noise: standard deviation over the rms of the data.
    """

    law: Law
    work: Path
    epochs: int
    noise: float

    @cached_property
    def problem(self) -> Problem:
        """On the mesh that is inverted on."""
        return make_problem(self.law.name, self.law.table)

    @cached_property
    def fields(self) -> Path:
        """Training fields."""
        config, out = self.work / "run.toml", self.work / "fields.nc"
        if not out.exists():
            self.work.mkdir(parents=True, exist_ok=True)
            config.write_text(dump_toml({"problem": {"name": self.law.name, **self.law.table}}))
            words = ("--prior-only", "--n", FIELDS, "--seed", SEED, "--out", out)
            command("generate", self.law.name, "--config", config, *words)
        return out

    @property
    def path(self) -> Path:
        """Where the trained prior lies or will lie."""
        return self.work / f"prior-{self.epochs}"

    @cached_property
    def folder(self) -> Path:
        """The trained prior."""
        out = self.path
        if not out.exists():
            how = [f"surrogate.epochs={self.epochs}", "surrogate.width=16"]
            sets = [word for h in how for word in ("--set", h)]
            words = ("--data", self.fields, "--seed", SEED, "--out", out)
            command("train-surrogate", "diffusion-prior", *words, *sets)
        return out

    def logarithmic(self) -> bool:
        """Whether laws are those of ln m."""
        return bool(positive(self.problem.prior()).all())

    @cached_property
    def fitted(self) -> FieldPrior:
        """The Gaussian with mean and covariance of the training fields, of ln m where m > 0."""
        prior, held = self.problem.prior(), datasets.read(self.fields)
        m = prior.unwhiten(held.xi)
        x = np.log(m) if self.logarithmic() else m
        values, vectors = np.linalg.eigh(np.cov(x.T))
        kept = values > 1e-10 * values[-1]
        root = vectors[:, kept] * np.sqrt(values[kept])
        transform = Exponential() if self.logarithmic() else Identity()
        return FieldPrior(prior.space, DenseField(x.mean(axis=0), root), transform)

    def case(self, k: int) -> tuple[Array, PosteriorRecipe]:
        """A truth on the nodes, and data of it: a finer mesh, random points, noise."""
        rng = stream(SEED, "test", k)
        prior = self.problem.prior()
        truth = prior.unwhiten(rng.standard_normal(prior.dim))
        at = 0.02 + 0.96 * rng.random((POINTS, 2))
        spec = "list:" + ";".join(f"{x:.6f},{y:.6f}" for x, y in at)
        sensors = self.problem.sensors(spec)
        cells = self.law.table["cells"]
        finer = [FINER * c for c in cells] if isinstance(cells, list) else FINER * cells
        model = make_problem(self.law.name, {**self.law.table, "cells": finer})
        clean = model.forward_model(sensors, 0)(truth)
        std = self.noise * float(np.sqrt(np.mean(clean**2)))
        data = clean + std * rng.standard_normal(len(clean))
        config = self.problem.config.model_dump(mode="json")
        noise = Noise(np.full(len(data), std))
        return truth, PosteriorRecipe(self.law.name, config, sensors, data, noise)

    def under_fitted(self, recipe: PosteriorRecipe) -> Posterior:
        """The posterior of the fitted Gaussian."""
        exact = recipe()
        model = type(exact.model)(self.fitted, exact.model.model)
        return Posterior(self.fitted, model, exact.data, exact.likelihood)
