"""Seeded scripts that make the embedded models and their prompt sets."""
