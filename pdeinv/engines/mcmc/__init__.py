"""Markov chains that draw from the posterior."""
