"""Diffusion along fibres: a tensor of the box, or of an image."""

import nibabel as nib
import numpy as np
import pytest
from heads import affine_of, head, stored

from pdeinv.config import parse
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.plugins.conformance import check_problem
from pdeinv.problems.tumor import Tumor, TumorConfig
from pdeinv.problems.tumor.grids import voxels

PLANE = {
    "lengths": [60.0, 60.0],
    "cells": 30,
    "tissue": {"kind": "homogeneous"},
    "time": {"final": 40.0, "steps": 20},
}
M = np.array([1.0, 0.08, 30.0, 30.0])
SIDES = (4.0, 4.0, 4.0)


def made(table=PLANE, **more):
    return Tumor(parse(TumorConfig, {**table, **more}, "problem"))


def last(problem, m=M):
    """c at the end on the places of a grid, and those from the seed."""
    nodes = problem.grid((31, 31))
    model = problem.forward_model(nodes)
    places = np.stack([nodes["x"], nodes["y"]], axis=1) - 30
    return model(m), places


def spreads(c, places):
    """Second moments of c about the seed."""
    return np.einsum("n,ni,nj->ij", c, places, places) / c.sum()


@pytest.mark.parametrize("solver", ["finite-elements", "finite-differences"])
def test_a_multiple_of_the_identity_is_a_larger_d(solver):
    doubled, _ = last(made(solver=solver, tensor={"uniform": [2.0, 0.0, 2.0]}))
    plain, _ = last(made(solver=solver), np.array([2.0, *M[1:]]))
    np.testing.assert_allclose(doubled, plain, atol=1e-12)


def test_both_models_agree_along_the_axes():
    along = {"tensor": {"uniform": [3.0, 0.0, 0.5]}, "cells": 60, "time": {"steps": 80}}
    a, b = (last(made(solver=s, **along))[0] for s in ("finite-elements", "finite-differences"))
    assert np.abs(a - b).max() < 0.03


def test_a_turned_tensor_spreads_along_its_own_axes():
    """Elements in the plane, turned by 45 degrees: the moments are those of the tensor's axes."""
    fast, slow = 2.0, 0.4
    half, rest, soon = (fast + slow) / 2, (fast - slow) / 2, {"final": 16.0, "steps": 16}
    c, places = last(made(tensor={"uniform": [half, rest, half]}, time=soon))
    moments = spreads(c, places)
    straight = spreads(*last(made(tensor={"uniform": [fast, 0.0, slow]}, time=soon)))
    size, ways = np.linalg.eigh(moments)
    np.testing.assert_allclose(np.abs(ways[:, 1]), np.sqrt([0.5, 0.5]), atol=0.03)
    np.testing.assert_allclose(size[::-1], np.diag(straight), rtol=0.05)


@pytest.mark.parametrize(
    ("eigenvalues", "steps", "least"), [((2.0, 0.4), 16, 6e-4), ((4.0, 0.04), 64, 0.011)]
)
def test_how_far_c_falls_below_zero(eigenvalues, steps, least):
    """Not at all for fibres along the diagonals of voxels; a little against them, unclipped."""
    half, rest = np.mean(eigenvalues), (eigenvalues[0] - eigenvalues[1]) / 2
    time = {"final": 16.0, "steps": steps}
    along, against = (
        made(tensor={"uniform": [half, sign * rest, half]}, time=time).solve(M, level=0)["c"]
        for sign in (1, -1)
    )
    assert float(along.min()) >= 0
    assert -least < float(against.min()) < 0
    assert float(max(along.max(), against.max())) <= 1


def test_bounds_hold_for_tensors_along_the_axes():
    table = {"tensor": {"uniform": [9.0, 0.0, 0.01]}, "time": {"final": 40.0, "steps": 2}}
    for solver in ("finite-elements", "finite-differences"):
        c, _ = last(made(solver=solver, **table))
        assert c.min() >= 0
        assert c.max() <= 1


def test_entries_across_are_for_elements():
    turned = {"uniform": [1.2, 0.8, 1.2]}
    with pytest.raises(ConfigError, match=r"problem.tensor.diagonal=true.*finite-elements"):
        last(made(solver="finite-differences", tensor=turned))
    kept, _ = last(made(solver="finite-differences", tensor={**turned, "diagonal": True}))
    plain, _ = last(made(solver="finite-differences"), np.array([1.2, *M[1:]]))
    np.testing.assert_allclose(kept, plain, atol=1e-12)


@pytest.mark.parametrize("solver", ["finite-elements", "finite-differences"])
def test_the_kit_takes_a_tensor(solver):
    table = {**PLANE, "cells": 12, "time": {"steps": 4}, "solver": solver}
    config = parse(TumorConfig, {**table, "tensor": {"uniform": [1.5, 0.0, 0.5]}}, "problem")
    clauses = ("dot-product", "taylor", "failed-tangent", "rows-linearized")
    report = check_problem(Tumor, config)
    assert all(f.ok is not False for f in report.findings if f.clause in clauses), report


REFUSED = {
    "both": ({"uniform": [1, 0, 1], "path": "t.nii"}, "give uniform"),
    "neither": ({}, "give uniform"),
    "too many": ({"uniform": [1, 0, 1, 0, 0, 1]}, "expected 3 numbers in 2 dimensions, got 6"),
    "not positive": ({"uniform": [1, 2, 1]}, "must be positive definite"),
    "above the cap": (
        {"uniform": [1e9, 0, 1]},
        "largest eigenvalue is 1e\\+09, above tensor.cap of 10",
    ),
    "above an own cap": ({"uniform": [1, 0, 1], "cap": 0.1}, "is 1, above tensor.cap of 0.1"),
    "an image without tissue": ({"path": "t.nii"}, "goes with tissue of kind 'nifti'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_tensor_is_refused(name):
    table, text = REFUSED[name]
    with pytest.raises(ConfigError, match=text):
        made(tensor=table)


@pytest.mark.parametrize(("uniform", "cap"), [([6, 4, 6], 10), ([50, 0, 1], 50)])
def test_a_tensor_at_the_cap_is_taken(uniform, cap):
    assert made(tensor={"uniform": uniform, "cap": cap}).tensor is not None


def fibres():
    """Three times as fast along a way in space as across, in the axes of the world."""
    way = np.array([2.0, 1.0, 0.5]) / np.linalg.norm([2.0, 1.0, 0.5])
    return 0.6 * (np.eye(3) + 2 * np.outer(way, way))


PLACES = {
    "nifti": [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)],
    "fsl": [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)],
    "mrtrix": [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)],
}


def image(folder, codes="RAS", order="nifti", scale=1.0, dims=4):
    """The maps of a head, and an image of fibres on the same voxels."""
    tissue = head(folder, SIDES, codes)
    white = nib.load(tissue["white"])
    values = np.array([scale * fibres()[k] for k in PLACES[order]])
    shape = (*white.shape, *([1] * (dims - 4)), 6)
    nib.save(nib.Nifti1Image(np.broadcast_to(values, shape), white.affine), folder / "t.nii.gz")
    table = {"tissue": tissue, "cells": [8, 7, 6], "time": {"steps": 2}}
    return {**table, "tensor": {"path": str(folder / "t.nii.gz"), "order": order}}


@pytest.mark.parametrize(
    ("codes", "order", "dims"), [("RAS", "nifti", 4), ("LPS", "fsl", 5), ("SAR", "mrtrix", 4)]
)
def test_an_image_is_the_same_tensor_in_any_order(tmp_path, codes, order, dims):
    problem = made(image(tmp_path, codes, order, scale=7e-4, dims=dims))
    on = problem.discretisation(0)
    cut = voxels(problem.config, problem.tissue, 0).directed(problem.tensor)
    mean = np.trace(fibres()) / 3
    np.testing.assert_allclose(
        cut.tensor, np.broadcast_to(fibres() / mean, cut.tensor.shape), atol=1e-6
    )
    assert on.lattice.size > 0


def test_components_along_voxels_are_turned(tmp_path):
    table = image(tmp_path, "LPS")
    table["tensor"]["frame"] = "voxels"
    problem = made(table)
    flip = np.diag([-1.0, -1.0, 1.0])  # of the file's voxels against the world
    wanted = flip @ fibres() @ flip / (np.trace(fibres()) / 3)
    np.testing.assert_allclose(problem.tensor.values[3, 3, 3], wanted, atol=1e-6)


def test_eigenvalues_are_capped(tmp_path):
    table = image(tmp_path)
    table["tensor"]["cap"] = 1.2
    values = made(table).tensor.values
    np.testing.assert_allclose(np.linalg.eigvalsh(values).max(axis=-1), 1.2)


SPOILT = {
    "one number": (np.ones, r"expected 6 in each voxel"),
    "no diffusion": (lambda shape: np.zeros((*shape, 6)), "its mean diffusivity .* is 0"),
    "NaN": (lambda shape: np.full((*shape, 6), np.nan), "holds NaN"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_an_image_that_is_no_tensor_is_refused(tmp_path, name):
    values, text = SPOILT[name]
    table = image(tmp_path)
    white = nib.load(table["tissue"]["white"])
    nib.save(nib.Nifti1Image(values(white.shape), white.affine), tmp_path / "t.nii.gz")
    with pytest.raises(DataSchemaError, match=text):
        _ = made(table).tensor


def test_an_image_of_other_voxels_is_refused(tmp_path):
    table = image(tmp_path)
    stored(tmp_path / "o.nii.gz", np.ones((8, 7, 6, 6)), affine_of((8.0, 8.0, 8.0)))
    table["tensor"]["path"] = str(tmp_path / "o.nii.gz")
    with pytest.raises(DataSchemaError, match=r"o.nii.gz has 8 x 7 x 6 voxels"):
        _ = made(table).tensor
