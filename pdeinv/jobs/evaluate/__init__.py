"""A surrogate against the reference model on fresh draws."""
