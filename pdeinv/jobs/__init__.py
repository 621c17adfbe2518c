"""Whole jobs: one room or module per verb of the command line."""
