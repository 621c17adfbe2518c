"""Files: observations, data sets, results, checkpoints."""
