"""The window of Microtome."""
