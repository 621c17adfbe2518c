"""Priors, noise, posteriors and what judges them."""
