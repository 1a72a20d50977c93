"""Everything that can be done, as one table."""
