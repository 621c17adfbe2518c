"""A tracer in a column or river reach: a problem, an engine and a surrogate for pdeinv."""
