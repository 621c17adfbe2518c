"""Cases, engines and peers of `samplers.py`, and how their draws are judged."""
