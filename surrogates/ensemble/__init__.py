"""Several networks with a calibrated spread."""
