"""Every clause of the protocol of problems."""
