"""Data sets for training: designs, batches, files."""
