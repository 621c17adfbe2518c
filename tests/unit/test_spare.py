"""Memory that is lent comes back when nobody looks at it any more, and not before."""

from pdeinv.kernels.spare import SpareArrays


def test_memory_comes_back_when_the_last_view_is_gone():
    spare = SpareArrays()
    first = spare.empty(3, 4)
    first[:] = 1.0
    view, where = first[1], first.ctypes.data
    del first
    other = spare.empty(3, 4)
    other[:] = 2.0
    assert view.tolist() == [1.0] * 4
    del view
    assert spare.empty(12).ctypes.data == where
