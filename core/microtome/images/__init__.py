"""Images: files read safely, sets of labelled ones, and what becomes of them for a model."""
