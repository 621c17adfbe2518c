"""Formulas: what they mean, and that nothing else is ever executed."""

import numpy as np
import pytest

from pdeinv.errors import ConfigError
from pdeinv.fem.expressions import Expression

X, Y = np.array([0.0, 0.25, 2.0]), np.array([1.0, -3.0, 0.5])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3 + 0 * X),
        ("-x + 2*y", -X + 2 * Y),
        ("x^2 - y**3", X**2 - Y**3),
        ("1 + 0.5*sin(2*pi*x)*exp(-y)", 1 + 0.5 * np.sin(2 * np.pi * X) * np.exp(-Y)),
        ("where(x < 1, 12, 3)", np.where(X < 1, 12, 3)),
        ("max(abs(y), min(x, 1))", np.maximum(np.abs(Y), np.minimum(X, 1))),
        (" e ", np.e + 0 * X),
    ],
)
def test_a_formula_means_what_it_says(text, expected):
    np.testing.assert_allclose(Expression(text)(X, Y), expected, rtol=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "x.__class__",
        "(lambda: 1)()",
        "[x for x in (1,)]",
        "open('f')",
        "z",
        "sin(x, y)",
        "sin",
        "x if x else y",
        "True",
        "'x'",
        "x @ y",
        "1 < x < 2",
        "sin(x=1)",
        "1j",
    ],
)
def test_anything_else_is_refused_by_name(text):
    with pytest.raises(ConfigError, match="is not understood; use x, y, pi"):
        Expression(text)


@pytest.mark.parametrize("text", ["", "x +", "import os", "x = 1", "((", "1; 2"])
def test_text_that_is_no_formula_is_refused(text):
    with pytest.raises(ConfigError, match="cannot be read; expected a formula in x and y"):
        Expression(text)


def test_a_giant_formula_is_refused():
    with pytest.raises(ConfigError, match="has 2999 characters; at most 1000"):
        Expression("+".join(["x"] * 1500))


def test_a_huge_power_gives_infinity_instead_of_hanging():
    assert np.isinf(Expression("9**9**9**9")(X, Y)).all()


def test_a_division_by_zero_is_left_to_the_caller():
    assert np.isinf(Expression("1/x")(X, Y)[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9" * 900, "has a number of 900 digits; at most 40: write it with an exponent"),
        ("-" * 990 + "x", "is nested deeper than 300; simplify it"),
        ("x" + "<x" * 400, "'x<x<x.* is not understood"),
        ("(" * 450 + "x" + ")" * 450, "cannot be read"),
    ],
)
def test_long_numbers_and_deep_formulas_are_refused_in_a_short_line(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Expression(text)
    assert len(str(caught.value)) < 300


def test_a_long_sum_is_no_deep_formula():
    assert Expression("+".join(["x"] * 250))(X, Y)[2] == 500


def test_a_formula_over_several_lines_is_named_on_one():
    with pytest.raises(ConfigError) as caught:
        Expression("x\n+ z")
    assert "\n" not in str(caught.value)
