"""Pickles of strangers as inert values, without running them."""
