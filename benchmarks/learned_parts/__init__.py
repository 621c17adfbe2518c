"""Parts of ``eit_learned.py``, ``seismic_learned.py`` and ``scattering_learned.py``.

Verbs that are timed, and rows kept.
"""
