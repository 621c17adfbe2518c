"""What several jobs share: recipes of problems and surrogates, and memory."""
