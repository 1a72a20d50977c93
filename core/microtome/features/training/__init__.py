"""Training of sparse dictionaries: rules, one trainer for all of them, checkpoints, figures."""
