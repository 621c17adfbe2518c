"""A network from the whitened unknown to the data."""
