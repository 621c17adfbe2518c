"""What the three kits share: clauses, tables of them, and reports."""
