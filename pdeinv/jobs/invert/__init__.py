"""From an observation file and a configuration to a result file."""
