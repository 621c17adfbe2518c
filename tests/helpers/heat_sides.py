"""Conditions on the sides of a rectangle that make every term of the heat equation matter."""

BOUNDARY = {
    "left": {"kind": "dirichlet", "value": "1 + sin(3*t)"},
    "top": {"kind": "robin", "coefficient": "1 + x", "ambient": "cos(t)"},
    "right": {"kind": "flux", "value": "t"},
}
