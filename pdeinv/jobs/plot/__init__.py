"""Figures of observation files, truths and results."""
