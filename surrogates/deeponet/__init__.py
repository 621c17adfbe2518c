"""A network with a branch for the coefficient and a trunk for the place."""
