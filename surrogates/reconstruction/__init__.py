"""From data to an image of the unknown on a grid in one evaluation, trained on simulated pairs."""
