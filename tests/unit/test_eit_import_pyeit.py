"""Vectors in pyEIT's order: they agree with pyEIT itself, and bad ones are refused."""

import numpy as np
import pytest
from eit_frames import CIRCLE, carried, read

import pdeinv
from pdeinv.errors import ConfigError, DataSchemaError

PROTOCOLS = {
    "std": ([1], 1, ["std"]),
    "no rotation by its other name": ([1], 1, ["no_rotate_meas"]),
    "rotated": ([1], 1, ["rotate_meas"]),
    "fmmu with driven": ([1], 2, ["fmmu", "meas_current"]),
    "opposite": ([8], 1, ["std"]),
    "two distances": ([1, 8], 3, ["meas_current"]),
    "skip, rotated": ([3], 2, ["fmmu"]),
}


@pytest.fixture(scope="module")
def body():
    """pyEIT's own solver on a coarse disc with an inclusion."""
    mesh = pytest.importorskip("pyeit.mesh").create(16, h0=0.2)
    centre = mesh.node[mesh.element].mean(axis=1)
    inside = np.hypot(centre[:, 0] - 0.4, centre[:, 1]) < 0.4
    return mesh, np.where(inside, 5.0, 1.0)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_pyeit_vectors_are_read_in_pyeits_own_order(body, tmp_path, name):
    from pyeit.eit import protocol
    from pyeit.eit.fem import EITForward

    mesh, conductivity = body
    distances, step, parser = PROTOCOLS[name]
    theirs = protocol.create(16, distances, step, parser)
    vector = EITForward(mesh, theirs).solve_eit(conductivity)
    np.save(tmp_path / "v.npy", vector)
    given = {"dist_exc": distances, "step_meas": step, "parser_meas": parser, **CIRCLE}
    found = read("pyeit", tmp_path / "v.npy", **given)
    drives, pattern = found["current"].values, found["measurement_pattern"].values
    values = iter(vector)
    for (a, b), pairs in zip(theirs.ex_mat, theirs.meas_mat, strict=True):
        row = np.flatnonzero((drives[:, a] == 1) & (drives[:, b] == -1)).item()
        for n, m in pairs:
            column = np.flatnonzero((pattern[:, n] == 1) & (pattern[:, m] == -1)).item()
            assert found["voltage"].values[row, column] == next(values)
    assert np.isfinite(found["voltage"]).sum() == vector.size


def test_pyeit_text_with_frames_in_rows(tmp_path):
    rng = np.random.default_rng(0)
    frames = 1 + 0.001 * rng.standard_normal((3, 208))
    path = tmp_path / "v.txt"
    np.savetxt(path, frames, delimiter=",")
    found = read("pyeit", path, **CIRCLE, frame=2, amplitude=5.0, current_unit="mA")
    values = found["voltage"].values
    np.testing.assert_array_equal(values[np.isfinite(values)], frames[2])
    assert found["current"].values[0, :2].tolist() == [5e-3, -5e-3]


def test_the_reference_has_a_frame_of_its_own(tmp_path):
    frames = 1 + 0.001 * np.random.default_rng(0).standard_normal((3, 208))
    many, one = tmp_path / "v.txt", tmp_path / "empty.txt"
    np.savetxt(many, frames)
    np.savetxt(one, frames[:1])
    given = {**CIRCLE, "reference_conductivity": 1.0, "frame": 2}
    for options in ({"reference_frame": 0}, {"reference": one}, {"reference": many,
                    "reference_frame": 0}):  # fmt: skip
        values = read("pyeit", many, **given, **options)["voltage"].values
        np.testing.assert_allclose(values[np.isfinite(values)], frames[2] - frames[0])
    with pytest.raises(ConfigError, match="holds 3 frames; pass --reference-frame, 0 to 2"):
        read("pyeit", many, **given, reference=many)
    assert not carried(read("pyeit", many, **given))["difference"]


def test_a_tank_of_pyeit_is_not_mirrored(tmp_path, body):
    """The geometry that the refusal names is that of pyEIT's own mesh."""
    from pyeit.eit import protocol
    from pyeit.eit.fem import EITForward

    mesh, _ = body
    centre = mesh.node[mesh.element].mean(axis=1)
    inside = np.hypot(centre[:, 0] - 0.4, centre[:, 1] - 0.3) < 0.3
    forward = EITForward(mesh, protocol.create(16))
    vectors = [forward.solve_eit(np.where(inside, c, 1.0)) for c in (1.0, 5.0)]
    np.save(tmp_path / "v.npy", np.array(vectors))
    given = {"radius": 1.0, "frame": 1, "reference_frame": 0, "reference_conductivity": 1.0}
    with pytest.raises(ConfigError, match="begin at 180 degrees and go round cw"):
        read("pyeit", tmp_path / "v.npy", **given)
    given |= {"first_angle": 180.0, "direction": "cw", "noise_rel": 0.002}
    with pytest.warns(UserWarning, match=r"electrode width not given, 0\.1 of the spacing"):
        found = read("pyeit", tmp_path / "v.npy", **given)
    mesh = {"problem": {"name": "eit", "cells": 10}}
    options = {"engine": "gauss-newton", "regularization": "smoothness", "seed": 1}
    seen = pdeinv.invert(found, tables=mesh, **options)
    picture = np.log(seen["estimates"]["conductivity_mean"])
    picture = picture.where(np.hypot(picture["x"], picture["y"]) < 0.95, 0)
    top = picture.where(picture > 0.5 * picture.max(), 0)
    where = [float((top * top[a]).sum() / top.sum()) for a in ("x", "y")]
    assert np.hypot(where[0] - 0.4, where[1] - 0.3) < 0.1, where


BAD_PYEIT = {
    "count": ("1 2 3", {}, "3 voltages, the protocol has 208; check --electrodes"),
    "frame": (" ".join(["1"] * 208), {"frame": 1}, "there is no frame 1; the file has 1"),
    "inf": (" ".join(["1"] * 207 + ["inf"]), {}, "voltage 208 is not finite"),
    "text": ("one two", {}, "expected numbers alone"),
    "ragged": ("1 2\n1", {}, "expected the same number of voltages in every line"),
    "parser": ("1", {"parser_meas": ["rot"]}, "parser_meas"),
}


@pytest.mark.parametrize("name", BAD_PYEIT)
def test_bad_pyeit(tmp_path, name):
    text, options, message = BAD_PYEIT[name]
    path = tmp_path / "v.txt"
    path.write_text(text)
    with pytest.raises((ConfigError, DataSchemaError)) as error:
        read("pyeit", path, **CIRCLE, **options)
    assert message in str(error.value)


def test_a_numpy_file_that_is_none(tmp_path):
    path = tmp_path / "v.npy"
    path.write_bytes(b"not numpy")
    with pytest.raises(DataSchemaError, match=r"no array of numbers as numpy\.save writes one"):
        read("pyeit", path, **CIRCLE)
    np.save(path, np.array(["a"]))
    with pytest.raises(DataSchemaError, match="expected numbers, got <U1"):
        read("pyeit", path, **CIRCLE)


def test_a_numpy_file_that_declares_what_it_does_not_hold(tmp_path):
    path = tmp_path / "v.npy"
    np.save(path, np.zeros(208))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"(208,), ", b"(2**9,),"))
    with pytest.raises(DataSchemaError, match=r"no array of numbers as numpy.save writes one \("):
        read("pyeit", path, **CIRCLE)
    path.write_bytes(whole.replace(b"(208,), }     ", b"(99999999,), }"))
    with pytest.raises(DataSchemaError, match=r"declares an array of 800 MB and holds 1.66 kB"):
        read("pyeit", path, **CIRCLE)
