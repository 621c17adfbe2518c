"""Gaussian random fields and the maps from white noise to them."""
