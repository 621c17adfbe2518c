"""Data sets with images of the coefficient, and reconstructions that are trained on them."""

import numpy as np

from pdeinv.io import datasets
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.plugins.recipe import make_problem

__all__ = ["DISC", "bound_to", "fitted", "made"]

DISC = {
    "model": "continuum", "map": "neumann-to-dirichlet", "modes": 4, "cells": 8,
    "difference": True, "reference": 1.0, "unknown": {"kind": "heart-and-lungs"},
}  # fmt: skip
"""A body whose hearts and lungs are seen through currents on its whole boundary."""


def made(name, config, spec, n, folder, grid=(9, 9)):
    problem = make_problem(name, config)
    plan = Plan(
        name, problem.config.model_dump(mode="json"), problem.sensors(spec), n, 4, grid=grid
    )
    generate(plan, folder / "data.nc", folder / "run")
    return problem, datasets.read(folder / "data.nc")


def fitted(kind, case, **options):
    problem, dataset = case
    return kind.fit(dataset, problem, kind.Config(**options), 1)


def bound_to(trained, case, chosen=slice(None)):
    problem, dataset = case
    sensors = {c: np.asarray(v)[chosen] for c, v in dataset.sensors.items()}
    return trained.bind(problem, problem.prior(), sensors)
