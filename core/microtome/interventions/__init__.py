"""Writing activations into a model."""
