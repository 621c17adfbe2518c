"""Parts of ``diffusion_oracles.py``: laws with exact posteriors, and how draws are judged."""
