"""Training of a surrogate as a job."""
