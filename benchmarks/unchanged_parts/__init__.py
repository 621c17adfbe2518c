"""What `unchanged.py` runs, reads and compares."""
