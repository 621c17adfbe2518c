"""Orders and groups of columns against their definitions, written out plainly."""

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array

from pdeinv.kernels import build, ordering, symbolic

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")


def scattered(n, pairs, rng):
    rows, columns = rng.integers(0, n, (2, pairs))
    half = csr_array(coo_array((np.ones(pairs), (rows, columns)), (n, n)))
    return ordering.graph(half.indptr, half.indices)


def square(side):
    place = np.arange(side * side).reshape(side, side)
    pairs = [(place[1:], place[:-1]), (place[:, 1:], place[:, :-1])]
    rows, columns = (np.concatenate([p[k].ravel() for p in pairs]) for k in (0, 1))
    half = csr_array(coo_array((np.ones(len(rows)), (rows, columns)), (side**2,) * 2))
    return ordering.graph(half.indptr, half.indices), np.argwhere(place >= 0).astype(float)


CASES = {
    "nothing": (1, 0), "apart": (9, 0), "a pair": (2, 3), "sparse": (60, 50),
    "pieces": (120, 90), "dense": (70, 900), "scattered": (250, 400),
}  # fmt: skip


@pytest.fixture(name="rng")
def fixture_rng():
    return np.random.default_rng(11)


def dissected(graph, points, nodes, leaf):
    """The order of some nodes: both halves and what parts them, by the words of the docstring."""
    if len(nodes) <= leaf:
        return list(nodes)
    along = distances(graph, nodes) if points is None else longest(points[nodes])
    above = along[along > along.min()]
    cut = max(np.median(along), above.min()) if len(above) else np.median(along)
    low = along < cut
    if low.all() or not low.any():
        return list(nodes)
    near = nodes[~low]
    touching = np.array([np.isin(neighbours(graph, i), nodes[low]).any() for i in near])
    halves = (nodes[low], near[~touching])
    return [i for half in halves for i in dissected(graph, points, half, leaf)] + [*near[touching]]


def neighbours(graph, i):
    return graph.indices[graph.indptr[i] : graph.indptr[i + 1]]


def longest(points):
    return points[:, np.argmax(np.ptp(points, axis=0))]


def distances(graph, nodes):
    """From a node that is far from all others; in pieces, the number of the piece."""
    pieces, reached = [], set()
    for i in nodes:
        if i not in reached:
            pieces.append(steps(graph, nodes, i))
            reached |= {*pieces[-1]}
    if len(pieces) > 1:
        return np.array([next(k for k, p in enumerate(pieces) if i in p) for i in nodes], float)
    far = nodes[0]
    for _ in range(3):
        found = steps(graph, nodes, far)
        along = np.array([found[i] for i in nodes], float)
        far = nodes[np.argmax(along)]
    return along


def steps(graph, nodes, first):
    """Steps from a node to those that it reaches."""
    found, ring, inside = {first: 0}, [first], {*nodes}
    while ring:
        ring = [j for i in ring for j in neighbours(graph, i) if j in inside and j not in found
                and not found.update({j: found[i] + 1})]  # fmt: skip
    return found


@pytest.mark.parametrize("leaf", [1, 6])
@pytest.mark.parametrize("where", ["nowhere", "a lattice", "anywhere"])
@pytest.mark.parametrize("case", CASES)
def test_dissection_is_what_it_says(case, where, leaf, rng):
    n, pairs = CASES[case]
    graph = scattered(n, pairs, rng)
    points = {"nowhere": None, "a lattice": rng.integers(0, 5, (n, 2)).astype(float),
              "anywhere": rng.random((n, 3))}[where]  # fmt: skip
    expected = dissected(graph, points, np.arange(n), leaf)
    np.testing.assert_array_equal(ordering.dissection(graph, points, leaf), expected)


@pytest.mark.parametrize("points", [True, False])
def test_dissection_of_a_square_is_what_it_says(points):
    graph, where = square(12)
    places = where if points else None
    expected = dissected(graph, places, np.arange(144), ordering.LEAF)
    np.testing.assert_array_equal(ordering.dissection(graph, places), expected)


def eliminated(graph, order):
    """Rows below the diagonal of each column of the factor, by elimination itself."""
    whole = graph.toarray()[np.ix_(order, order)] != 0
    for j in range(len(order)):
        rows = np.flatnonzero(whole[j + 1 :, j]) + j + 1
        whole[np.ix_(rows, rows)] = True
    return [np.flatnonzero(whole[j + 1 :, j]) + j + 1 for j in range(len(order))]


@pytest.mark.parametrize("case", CASES)
def test_groups_hold_the_columns_of_elimination(case, rng):
    n, pairs = CASES[case]
    graph = scattered(n, pairs, rng)
    groups = symbolic.supernodes(graph, rng.permutation(n))
    columns = eliminated(graph, groups.order)
    parent = [c[0] if len(c) else n for c in columns]
    assert all(j < p for j, p in enumerate(parent))
    ends = groups.starts[1:] - 1
    for end, first, last in zip(ends, groups.below[:-1], groups.below[1:], strict=True):
        np.testing.assert_array_equal(groups.rows[first:last], columns[end])
    for first, end in zip(groups.starts[:-1], ends, strict=True):
        own = np.arange(first, end + 1)
        assert all({*columns[j]} <= {*own, *columns[end]} for j in own)
    padding = groups.entries() - n - sum(map(len, columns))
    assert 0 <= padding <= 0.25 * groups.entries()


def test_without_padding_the_groups_hold_the_entries_of_the_factor_alone(rng):
    graph, points = square(11)
    groups = symbolic.supernodes(graph, ordering.dissection(graph, points), fill=0.0)
    assert groups.entries() == 121 + sum(map(len, eliminated(graph, groups.order)))


def test_the_order_that_groups_ask_for_is_a_postorder(rng):
    """Subtrees without gaps, so that what was computed for a child is next to its parent."""
    graph = scattered(80, 90, rng)
    given = rng.permutation(80)
    groups = symbolic.supernodes(graph, given)
    columns = eliminated(graph, groups.order)
    assert sum(map(len, columns)) == sum(map(len, eliminated(graph, given)))
    seen = np.zeros(80, dtype=int)
    for j, rows in enumerate(columns):
        seen[j] += 1
        if len(rows):
            assert rows[0] >= j + 1
            seen[rows[0]] += seen[j]
            assert {*range(j - seen[j] + 1, j + 1)} >= {j}
    roots = [j for j, rows in enumerate(columns) if not len(rows)]
    np.testing.assert_array_equal(np.diff([-1, *roots]), seen[roots])


def test_minimum_degree_eliminates_leaves_before_the_hub():
    star = csr_array(coo_array((np.ones(9), (np.zeros(9, int), np.arange(1, 10))), (10, 10)))
    order = ordering.minimum_degree(ordering.graph(star.indptr, star.indices))
    assert sorted(order) == list(range(10))
    assert 0 in order[-2:]
