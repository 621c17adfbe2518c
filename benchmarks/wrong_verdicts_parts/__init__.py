"""Problems, references and runs of ``wrong_verdicts.py``."""
