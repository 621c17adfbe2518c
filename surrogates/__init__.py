"""Learned stand-ins for reference models, and how they are trained."""
