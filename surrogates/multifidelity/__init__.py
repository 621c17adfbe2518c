"""What a fine model adds to a coarse one."""
