"""Learned priors: denoisers of fields, trained on fields alone."""
