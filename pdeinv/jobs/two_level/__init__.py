"""Training a surrogate on the way of a two-level inversion, and judging it."""
