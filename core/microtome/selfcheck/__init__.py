"""Numeric checks that a model is read correctly."""
