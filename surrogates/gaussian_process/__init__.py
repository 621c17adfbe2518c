"""Gaussian-process regression of data on few unknowns."""
