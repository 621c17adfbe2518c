"""Frames of voltages: which pairs are measured, their files, and what speaks against them."""
