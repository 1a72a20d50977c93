"""Which parts of a model do a task: methods that score every edge, and what a circuit is worth."""
