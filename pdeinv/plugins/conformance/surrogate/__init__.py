"""Every clause of the protocol of surrogates."""
