"""Frames of other instruments and programs, one module per format."""
