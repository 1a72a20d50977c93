"""Frozen results as numpy arrays: what crosses threads and what a session file keeps.

Nothing here knows torch, so that a session opens on a machine that has none.
"""
