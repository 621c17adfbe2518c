"""Every clause of the protocol of engines."""
