"""Discretised bodies: what is applied to what is measured, for one conductivity and for tiles."""
