"""Finite differences of seismic waves beside spectral elements and Green's function."""

import numpy as np
import pytest

pytest.importorskip("deepwave")

from pdeinv.problems.seismic import Seismic, SeismicConfig

BASE = {"lengths": [640.0, 640.0], "cells": 10, "boundary": {"width": 640.0},
        "time": {"final": 0.35},
        "source": {"amplitude": 3.0},
        "survey": {"sources": [[165.0, 107.0]], "receivers": [[331.0, 113.0], [597.0, 30.0]]},
        "unknown": {"kind": "log-gaussian", "length": 200.0}}  # fmt: skip


def made(**table):
    return Seismic(SeismicConfig.model_validate({**BASE, **table}))


def traces(problem, m, level=0):
    return problem.forward_model(problem.sensors("all"), level)(np.asarray(m))


def off(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("top", ["absorbing", "free"])
def test_both_models_agree_on_smooth_media(top):
    """Sign, time samples, scaling of the source, places between nodes and the free surface."""
    boundary = {"width": 640.0, "top": top}
    m = made().prior().unwhiten(np.random.default_rng(1).standard_normal(16))
    wanted = traces(made(boundary=boundary), m)
    fast = {"model": "deepwave", "deepwave": {"spacing": 10.0}}
    assert off(traces(made(boundary=boundary, **fast), m), wanted) < 0.005


def test_both_models_agree_on_layers():
    """Interfaces between nodes, by the mean of slowness squared over cells."""
    kind = {"kind": "layers", "thicknesses": [133.0, 71.0], "velocities": [1900.0, 2300.0, 2900.0]}
    m = [133.0, 71.0, 1900.0, 2300.0, 2900.0]
    wanted = traces(made(unknown=kind, cells=20), m)
    fast = {"model": "deepwave", "deepwave": {"spacing": 5.0}}
    assert off(traces(made(unknown=kind, **fast), m), wanted) < 0.01


def test_interfaces_move_continuously():
    """Half a cell is no jump: the traces of equal moves change by equal amounts."""
    kind = {"kind": "layers", "thicknesses": [100.0]}
    fast = {"model": "deepwave", "deepwave": {"spacing": 10.0, "accuracy": 4}}
    model = made(unknown=kind, **fast)
    found = [traces(model, [d, 2000.0, 2800.0]) for d in np.arange(100.0, 110.5, 2.5)]
    steps = [np.linalg.norm(b - a) for a, b in zip(found[:-1], found[1:], strict=True)]
    assert max(steps) < 1.3 * min(steps)


def test_differences_of_higher_order_and_finer_grids_are_nearer():
    m = made().prior().unwhiten(np.random.default_rng(1).standard_normal(16))
    errors = {}
    wanted = traces(made(model="deepwave", deepwave={"spacing": 5.0}), m)
    for accuracy, spacing in ((2, 20.0), (8, 20.0), (2, 10.0)):
        table = {"spacing": spacing, "accuracy": accuracy}
        errors[accuracy, spacing] = off(traces(made(model="deepwave", deepwave=table), m), wanted)
    assert errors[8, 20.0] < 0.5 * errors[2, 20.0]
    assert errors[2, 10.0] < 0.4 * errors[2, 20.0]
