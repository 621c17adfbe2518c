"""Parts of ``eit_learned.py`` and ``seismic_learned.py``: verbs that are timed, and rows kept."""
