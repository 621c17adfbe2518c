"""A small Darcy problem as a run file has it."""

SMALL = """
[problem]
name = "darcy"
cells = 8

[problem.unknown]
kind = "log-gaussian"
modes = 4
grid = [9, 9]
"""
