"""Training loops of networks, their data and processes."""
