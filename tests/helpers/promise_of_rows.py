"""Whether a model keeps the promise of rows, for any model that declares ROWS."""

import numpy as np
import pytest

from pdeinv.errors import SolverDiverged
from pdeinv.model.forward import Capability

__all__ = ["assert_rows_keep_their_promise"]


def directions(model, n):
    """A vector for each row and declared action."""
    rng = np.random.default_rng(5)
    sizes = {Capability.JVP: model.m_space.size, Capability.VJP: model.d_space.size}
    return {
        str(c): rng.standard_normal((n, k)) for c, k in sizes.items() if c in model.capabilities
    }


def actions(model, at, n, chosen):
    """Values and declared actions of a linearization of the chosen of n rows."""
    acted = {k: getattr(at, k)(v[list(chosen)]) for k, v in directions(model, n).items()}
    return {"values": at.values, **acted}


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * max(np.abs(b).max(), 1e-300))


def assert_rows_keep_their_promise(model, ms, fails=None):
    """Bits of 1, 2, 3, 7 and all rows, in another order and beside a failed one; and right.

    ``fails`` is an unknown that cannot be solved for, if there is one.
    """
    assert Capability.ROWS in model.capabilities
    n, whole = len(ms), model.rows(ms)
    assert not whole.failures
    for m, row in zip(ms, whole.values, strict=True):
        close(row, model(m))
    some = [[3], [4, 5], [0, 1, 2], list(range(7)), np.random.default_rng(0).permutation(n)]
    for chosen in some:
        assert np.array_equal(model.rows(ms[chosen]).values, whole.values[chosen])
    assert model.rows(ms[:0]).values.shape == (0, model.d_space.size)
    broken, sound = ms.copy(), [i for i in range(n) if i != 2]
    broken[2] = ms[2] if fails is None else fails
    found = model.rows(broken)
    assert set(found.failures) == (set() if fails is None else {2})
    assert fails is None or np.isnan(found.values[2]).all()
    assert np.array_equal(found.values[sound], whole.values[sound])
    if model.capabilities & {Capability.JVP, Capability.VJP}:
        assert_so_do_linearizations(model, ms, some, broken if found.failures else None)


def assert_so_do_linearizations(model, ms, some, broken):
    """The same of values and actions, with those of single rows; row 2 of ``broken`` fails."""
    n, at = len(ms), model.linearize_rows(ms)
    whole = actions(model, at, n, range(n))
    for chosen in some:
        for name, values in actions(model, model.linearize_rows(ms[chosen]), n, chosen).items():
            assert np.array_equal(values, whole[name][chosen]), name
    for i in (0, n - 1):
        single = at.at(i)
        assert np.array_equal(single.value, at.values[i])
        for name, v in directions(model, n).items():
            close(getattr(single, name)(v[i]), whole[name][i])
    if broken is None:
        return
    after, sound = model.linearize_rows(broken), [i for i in range(n) if i != 2]
    with pytest.raises(SolverDiverged):
        after.at(2)
    for name, values in actions(model, after, n, range(n)).items():
        assert np.isnan(values[2]).all(), name
        assert np.array_equal(values[sound], whole[name][sound]), name
