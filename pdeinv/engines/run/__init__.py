"""The one loop over the steps of an engine: chains, checkpoints, budgets."""
