"""What the measurements of tumors share."""
