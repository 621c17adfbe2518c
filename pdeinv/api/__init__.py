"""The verbs as Python functions; ``import pdeinv`` offers them by name."""
