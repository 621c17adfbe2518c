"""Waves agree with closed forms at the element's order, leave the domain and are reciprocal."""

import numpy as np
import pytest
from helmholtz_exact import cylinder, cylinder_pattern, gaussian_source
from helmholtz_spectral import wall_traces

from pdeinv.fem.complex_system import WaveSystem, helmholtz_matrix
from pdeinv.fem.high_order import HighOrderSpace
from pdeinv.fem.pml import Layer, framed_rectangle
from pdeinv.problems.helmholtz import Helmholtz, HelmholtzConfig

ELEMENTS = [f"{shape}{p}" for shape in "PQ" for p in (1, 2, 3, 4)]
SIDES = (1.0, 1.0)
WIDTH = 0.06
ANGLES = np.linspace(0, 2 * np.pi, 64, endpoint=False)
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
CENTRE = np.array([0.5, 0.5])
DISC = {"kind": "inclusions", "count": 1, "edge": 0.002, "radius": [0.1, 0.3]}
K, RADIUS, INDEX = 20.0, 0.25, 1.5


def elements(element, cells, frame=(0.0, 0)):
    shape = "triangle" if element[0] == "P" else "quadrilateral"
    plain = framed_rectangle(SIDES, (cells, cells), shape, frame)
    return HighOrderSpace.on_plain(plain, int(element[1]))


def static_error(element, cells, k=3.0, spoil=1.0):
    """The L2 error for u = sin(πx) sin(2πy) between walls."""
    space = elements(element, cells)
    rule = space.rule(2 * space.degree + 4, (0, 1, 0, 1))
    x, y = rule.points.T
    exact = np.sin(np.pi * x) * np.sin(2 * np.pi * y)
    system = WaveSystem(helmholtz_matrix(space, k, fixed=True), k, rule, space.boundary)
    system.factor(np.zeros_like(exact))
    source = spoil * (k**2 - 5 * np.pi**2) * exact
    u = system.solve(-system.load(source[:, None].astype(complex)))
    gap = (rule.values @ u)[:, 0] - exact
    return float(np.sqrt(rule.weights @ np.abs(gap) ** 2))


@pytest.mark.parametrize("element", ELEMENTS)
def test_the_l2_error_falls_at_the_order_of_the_element(element):
    cells = 8 if element[1] in "12" else 4
    coarse, fine = static_error(element, 2 * cells), static_error(element, 4 * cells)
    assert np.log2(coarse / fine) == pytest.approx(int(element[1]) + 1, abs=0.15)
    assert fine < {1: 5e-3, 2: 1e-4, 3: 4e-5, 4: 2e-6}[int(element[1])]


def test_a_wrong_source_destroys_the_order():
    coarse, fine = (static_error("P3", n, spoil=1.01) for n in (8, 16))
    assert np.log2(coarse / fine) < 0.5


def radiation_error(wavelength, *, cells=20, element="P4", width=0.25, impedance=False):
    """What a Gaussian source sends to a ring, against its exact wave."""
    k = 2 * np.pi / wavelength
    frame = (0.0, 0) if impedance else (width, max(2, round(width * cells)))
    space = elements(element, cells, frame)
    layer = None if impedance else Layer(SIDES, width)
    matrix = helmholtz_matrix(space, k, layer=layer, impedance=impedance)
    system = WaveSystem(matrix, k, space.rule(10, (0, 1, 0, 1)))
    f = np.exp(-np.sum((system.rule.points - CENTRE) ** 2, axis=1) / 2 / WIDTH**2)
    system.factor(np.zeros_like(f))
    u = system.solve(-system.load(f[:, None].astype(complex)))
    found = (space.at(CENTRE + 0.45 * CIRCLE) @ u)[:, 0]
    exact = gaussian_source(k, WIDTH, np.full(len(found), 0.45))
    return float(np.abs(found - exact).max() / np.abs(exact).max())


@pytest.mark.parametrize("wavelength", [0.25, 0.5, 1.0, 2.0])
def test_the_layer_reflects_less_than_a_thousandth(wavelength):
    assert radiation_error(wavelength) < 1e-3


def test_impedance_reflects_more_than_the_layer_but_lets_most_of_the_wave_leave():
    assert 1e-2 < radiation_error(0.25, impedance=True) < 0.1


def test_a_layer_of_the_wrong_sign_is_noticed(monkeypatch):
    stretch = Layer.stretch
    monkeypatch.setattr(
        Layer, "stretch", lambda self, x, k: tuple(np.conj(s) for s in stretch(self, x, k))
    )
    assert radiation_error(0.5) > 0.1


def disc(**settings):
    """A homogeneous cylinder in the middle, on a mesh that does not follow it."""
    base = {"unknown": DISC, "taper": 0.05, "wavenumbers": [K], "incident": {"angles": [0.0]}}
    base["incident"]["kind"] = "plane"
    problem = Helmholtz(
        HelmholtzConfig.model_validate({"cells": 40, "element": "P2"} | base | settings)
    )
    return problem, np.array([INDEX - 1, 0.5, 0.5, RADIUS])


def complex_data(problem, m, spec):
    data = problem.forward_model(problem.sensors(spec))(m).reshape(-1, 2)
    return data[:, 0] + 1j * data[:, 1]


def gap(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


def test_scattering_by_a_cylinder_agrees_with_the_bessel_series_to_one_percent():
    problem, m = disc()
    shift = np.exp(1j * K * 0.5)
    near = shift * cylinder(K, INDEX, RADIUS, 0.4 * CIRCLE)
    assert gap(complex_data(problem, m, "ring:64:0.4"), near) < 0.01
    total = near + np.exp(1j * K * (0.5 + 0.4 * CIRCLE[:, 0]))
    problem, m = disc(total=True)
    assert gap(complex_data(problem, m, "ring:64:0.4"), total) < 0.01
    problem, m = disc(receivers="integrate")
    far_away = shift * cylinder(K, INDEX, RADIUS, 7.0 * CIRCLE)
    assert gap(complex_data(problem, m, "ring:64:7"), far_away) < 0.01
    problem, m = disc(measure="far-field")
    moved = np.exp(1j * K * 0.5 * (1 - CIRCLE.sum(axis=1)))
    pattern = moved * cylinder_pattern(K, INDEX, RADIUS, ANGLES)
    assert gap(complex_data(problem, m, "ring:64"), pattern) < 0.01


def test_the_series_is_continuous_and_its_pattern_is_its_limit():
    inner, outer = (cylinder(K, INDEX, RADIUS, r * CIRCLE) for r in (0.25 - 1e-9, 0.25 + 1e-9))
    np.testing.assert_allclose(inner, outer, atol=1e-6)
    r = 1e5
    limit = cylinder(K, INDEX, RADIUS, r * CIRCLE) * np.sqrt(r) * np.exp(-1j * K * r)
    assert gap(limit, cylinder_pattern(K, INDEX, RADIUS, ANGLES)) < 1e-4


@pytest.mark.parametrize(
    ("degree", "size", "cap"), [(1, 0.04, 0.07), (2, 0.08, 3e-3), (3, 0.1, 5e-4)]
)
def test_a_mesh_that_follows_the_cylinder_converges_at_the_elements_order(degree, size, cap):
    coarse, fine = (fitted_error(degree, h) for h in (size, size / 2))
    assert np.log2(coarse / fine) > degree + 0.8
    assert fine < cap


def fitted_error(degree, size):
    space = HighOrderSpace(curved_mesh(degree, size), degree)
    rule = space.rule(2 * degree, (0.2, 0.8, 0.2, 0.8))
    offset = rule.points - CENTRE
    centres = np.hypot(*offset.T).reshape(len(rule.dofs), -1).mean(axis=1)
    q = np.repeat((INDEX - 1) * (centres < RADIUS), len(rule.phi))
    system = WaveSystem(helmholtz_matrix(space, K, layer=Layer(SIDES, 0.25, 1e-8)), K, rule)
    system.factor(q)
    u = system.solve(system.load((K**2 * q * np.exp(1j * K * offset[:, 0]))[:, None]))
    found = (space.at(CENTRE + 0.4 * CIRCLE) @ u)[:, 0]
    return gap(found, cylinder(K, INDEX, RADIUS, 0.4 * CIRCLE))


def curved_mesh(degree, size):
    """Triangles with curved edges along the cylinder, straight ones along the layer."""
    gmsh = pytest.importorskip("gmsh")
    from pdeinv.fem.env import fenicsx

    comm = fenicsx().MPI.COMM_SELF
    from dolfinx.io.gmsh import model_to_mesh

    gmsh.initialize()
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        occ = gmsh.model.occ
        outer = occ.addRectangle(-0.25, -0.25, 0, 1.5, 1.5)
        inner, circle = occ.addRectangle(0, 0, 0, 1, 1), occ.addDisk(0.5, 0.5, 0, RADIUS, RADIUS)
        occ.fragment([(2, outer)], [(2, inner), (2, circle)])
        occ.synchronize()
        gmsh.model.addPhysicalGroup(2, [tag for _, tag in gmsh.model.getEntities(2)], 1)
        gmsh.option.setNumber("Mesh.MeshSizeMin", size)
        gmsh.option.setNumber("Mesh.MeshSizeMax", size)
        gmsh.model.mesh.generate(2)
        gmsh.model.mesh.setOrder(degree)
        return model_to_mesh(gmsh.model, comm, 0, gdim=2).mesh
    finally:
        gmsh.finalize()


def draw(problem, seed=0):
    prior = problem.prior()
    return prior.unwhiten(np.random.default_rng(seed).standard_normal(prior.dim))


def make(**settings):
    return Helmholtz(HelmholtzConfig.model_validate(settings))


def test_source_and_receiver_may_be_exchanged():
    spots = [[0.05, 0.1], [0.9, 0.3], [1.7, 2.0], [0.5, -0.4]]
    incident = {"kind": "point", "places": spots}
    problem = make(incident=incident, receivers="integrate", cells=8)
    spec = "list:" + ";".join(f"{x},{y}" for x, y in spots)
    found = complex_data(problem, draw(problem), spec).reshape(4, 4)
    assert np.abs(found - found.T).max() < 1e-12 * np.abs(found).max()
    near = make(incident={"kind": "point", "places": spots[:2]}, cells=24)
    found = complex_data(near, draw(near), "list:0.05,0.1;0.9,0.3").reshape(2, 2)
    assert abs(found[0, 1] - found[1, 0]) < 1e-3 * np.abs(found).max()


def test_the_far_field_is_reciprocal():
    problem = make(measure="far-field", incident={"kind": "plane", "count": 8}, cells=8)
    found = complex_data(problem, draw(problem), "ring:8").reshape(8, 8).T
    turned = np.roll(np.roll(found.T, 4, axis=0), 4, axis=1)
    assert np.abs(found - turned).max() < 1e-12 * np.abs(found).max()
    assert np.abs(found - found.T).max() > 1e-3 * np.abs(found).max()


def test_green_function_on_the_mesh_is_symmetric():
    problem = make(cells=8)
    system, space = problem.domain.system(12.0), problem.domain.space()
    rng = np.random.default_rng(1)
    system.factor(0.3 * rng.random(len(system.rule.weights)))
    B = space.at(rng.random((5, 2))).astype(complex)
    green = B @ system.solve(B.T.toarray())
    assert np.abs(green - green.T).max() < 1e-10 * np.abs(green).max()


def test_energy_is_conserved_in_the_far_field():
    """The optical theorem: ∫|u_∞|² = Im f(d)/k for real contrast, u_∞ = e^{iπ/4}/√(8πk) f."""
    problem = make(measure="far-field", incident={"kind": "plane", "angles": [30.0]})
    m, k = draw(problem), problem.config.ks[0]
    pattern = complex_data(problem, m, "ring:120")
    forward = complex_data(problem, m, "list:30")[0]
    power = np.mean(np.abs(pattern) ** 2) * 2 * np.pi
    extinction = (forward * np.exp(-0.25j * np.pi) * np.sqrt(8 * np.pi * k)).imag / k
    assert power == pytest.approx(extinction, rel=2e-3)


def test_the_wall_trace_of_an_empty_square_is_that_of_the_plane_wave():
    problem = make(
        truncation={"kind": "dirichlet"}, measure="normal-derivative", total=True, element="P4",
        wavenumbers=[2 * np.pi], cells=8, quantity="index",
        unknown={"kind": "uniform", "low": 0.5, "high": 1.5},
    )  # fmt: skip
    sensors = problem.sensors("boundary:5")
    empty = problem.forward_model(sensors)(np.array([1.0]))
    side = sensors["x"] == 1.0
    chosen = side & (sensors["source"] == 0)
    wave = 2j * np.pi * np.exp(2j * np.pi)
    parts = np.where(sensors["component"][chosen] == 1, wave.imag, wave.real)
    np.testing.assert_allclose(empty[chosen], parts, atol=1e-9)
    # no wave is known for n ≠ 1 with this trace, but the mesh of the next level agrees
    coarse, fine = (problem.forward_model(sensors, level)(np.array([1.21])) for level in (0, 1))
    assert np.abs(coarse - fine).max() < 1e-3 * np.abs(fine).max()


@pytest.mark.parametrize(
    "unknown",
    [
        {"kind": "bumps", "count": 3, "amplitude": [0.2, 0.8], "width": [0.08, 0.12]},
        {"kind": "uniform", "low": 0.5, "high": 0.6},
    ],
    ids=lambda u: u["kind"],
)
def test_wall_traces_of_a_medium_are_those_of_an_independent_solver(unknown):
    """Chebyshev collocation, at the element's order less one for the derivative, or nearly.

    Where n is not 1 in a corner the wave is r² log r there.
    """
    angles = [0.0, 72.0, 216.0]
    problem = make(
        truncation={"kind": "dirichlet"}, measure="normal-derivative", total=True, element="P4",
        wavenumbers=[2 * np.pi], cells=10, unknown=unknown,
        incident={"kind": "plane", "angles": angles},
    )  # fmt: skip
    sensors = problem.sensors("boundary:4")
    m = draw(problem)
    places = np.stack([sensors["x"], sensors["y"]], axis=1)
    where, receiver = np.unique(places, axis=0, return_inverse=True)
    exact = wall_traces(
        2 * np.pi, lambda p: 1.0 + problem.coefficient_at(p)(m), np.array(angles), where
    )[receiver.ravel(), sensors["source"].astype(int)]
    exact = np.where(sensors["component"] == 1, exact.imag, exact.real)
    off = [
        np.linalg.norm(problem.forward_model(sensors, level)(m) - exact) / np.linalg.norm(exact)
        for level in (0, 1)
    ]
    assert off[0] < 1e-3
    assert off[1] < off[0] / 8
