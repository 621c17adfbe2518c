"""Neural operators on regular grids."""
