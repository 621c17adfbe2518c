"""The discretisation converges at its order to known solutions, and is exact where it must be."""

import numpy as np
import pytest
from darcy_exact import LINEAR, QUADRATIC, Manufactured, configuration, manufactured

from pdeinv.fem.expressions import Expression
from pdeinv.problems.darcy import Darcy

MMS = {case.name: case for case in manufactured()}
CAPS = {"P1": 1.0e-3, "Q1": 1.0e-3, "P2": 6.0e-6, "Q2": 4.0e-6}


def test_the_manufactured_cases_cover_every_element_and_both_kinds_of_condition():
    wanted = {f"{e}, {c}" for e in ("P1", "P2", "Q1", "Q2") for c in ("fixed head", "mixed")}
    assert set(MMS) == wanted


@pytest.mark.parametrize("name", MMS)
def test_l2_error_falls_at_the_order_of_the_element(name):
    case = MMS[name]
    coarse, fine = case.error(1), case.error(2)
    assert np.log2(coarse / fine) == pytest.approx(case.order, abs=0.1)
    assert fine < CAPS[case.problem.config.element]


def test_a_wrong_source_destroys_the_order():
    case = MMS["P2, fixed head"]
    config = case.problem.config.model_copy(
        update={"source": f"1.01*({case.problem.config.source})"}
    )
    spoilt = Manufactured("spoilt", Darcy(config), case.m, case.exact, case.order)
    assert np.log2(spoilt.error(1) / spoilt.error(2)) < 0.5


@pytest.mark.parametrize(
    ("element", "case"), [("P1", LINEAR), ("Q1", LINEAR), ("P2", QUADRATIC), ("Q2", QUADRATIC)]
)
@pytest.mark.parametrize("flux_sides", [(), ("left", "top"), ("right", "bottom")])
def test_a_polynomial_of_the_elements_degree_is_reproduced_to_rounding(element, case, flux_sides):
    config = configuration(case, element, flux_sides=flux_sides, cells=(6, 4), lengths=(2.0, 1.0))
    exact = Manufactured.of("exact", Darcy(config), case)
    assert exact.error(0) < 1e-13
    sensors = {"x": np.array([0.0, 0.3, 1.97, 2.0]), "y": np.array([0.0, 0.7, 0.501, 1.0])}
    data = exact.problem.forward_model(sensors)(exact.m)
    expected = Expression(case.u)(sensors["x"], sensors["y"])
    np.testing.assert_allclose(data, expected, atol=1e-12)
    observed = exact.problem.observe(exact.problem.solve(exact.m, level=1), sensors)
    np.testing.assert_allclose(observed, expected, atol=1e-12)
