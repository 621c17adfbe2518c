"""pdeinv: from measurements of a physical field to its cause, with an honest uncertainty."""
