"""Spaces: flat arrays and labelled variables are two views of the same numbers."""

import numpy as np
import pytest

from pdeinv.errors import ShapeError
from pdeinv.model.spaces import Space, Variable

K = Variable(
    "k",
    ("y", "x"),
    (2, 3),
    "m2",
    "permeability",
    {"x": (("x",), np.arange(3.0)), "y": (("y",), np.arange(2.0))},
    {"x": {"units": "m"}},
)
Q = Variable("q", (), ())
SPACE = Space((K, Q, Variable("r", ("n",), (2,))))


def test_size_and_names():
    assert SPACE.size == 9
    assert SPACE.names == ("k", "q", "r")
    assert SPACE["r"].size == 2


def test_unpacked_variables_are_labelled():
    data = SPACE.unpack(np.arange(9.0))
    np.testing.assert_array_equal(data.k, [[0, 1, 2], [3, 4, 5]])
    assert data.k.attrs == {"units": "m2", "long_name": "permeability"}
    assert data.k.x.attrs == {"units": "m"}
    assert data.q.item() == 6
    assert data.q.attrs == {"units": "1", "long_name": "q"}
    np.testing.assert_array_equal(data.r, [7, 8])


@pytest.mark.parametrize("lead", [(), ("draw",), ("chain", "draw")])
def test_packing_undoes_unpacking(lead):
    flat = np.random.default_rng(0).standard_normal((*(2, 5)[: len(lead)], 9))
    data = SPACE.unpack(flat, lead)
    assert data.k.dims == (*lead, "y", "x")
    np.testing.assert_array_equal(SPACE.pack(data), flat)


def test_packing_puts_dims_in_order():
    data = SPACE.unpack(np.arange(9.0)).transpose("x", "y", "n")
    np.testing.assert_array_equal(SPACE.pack(data), np.arange(9.0))


def test_packing_refuses_what_does_not_fit():
    data = SPACE.unpack(np.arange(9.0))
    with pytest.raises(ShapeError, match=r"^variable 'r' is missing; found \['k', 'q'\]$"):
        SPACE.pack(data.drop_vars("r"))
    with pytest.raises(ShapeError, match=r"^variable 'k': expected shape \(2, 3\), got \(2, 2\)$"):
        SPACE.pack(data.isel(x=slice(2)))


@pytest.mark.parametrize("shape", [(), (8,), (9, 1), (2, 10)])
def test_arrays_of_another_size_are_refused(shape):
    with pytest.raises(ShapeError, match=r"^array for k\+q\+r: expected last axis 9, got shape \("):
        SPACE.check(np.zeros(shape))


def test_checked_arrays_are_float64():
    assert SPACE.check(np.zeros((4, 9), dtype=np.float32)).dtype == np.float64
