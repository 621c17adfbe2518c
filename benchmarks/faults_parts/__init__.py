"""Parts of ``benchmarks/faults.py``: the verbs, the faults of their surroundings, and the runs."""
