"""What a problem and a surrogate offer, and how they are found by name."""
