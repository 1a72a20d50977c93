"""Suites: what a model must still do, what it can do without, and what makes it fail."""
