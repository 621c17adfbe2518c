"""The best of many simulations, refined."""
