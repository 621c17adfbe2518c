"""Networks from data to the unknown: estimates with a calibrated spread."""
