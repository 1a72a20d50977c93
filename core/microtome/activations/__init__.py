"""Reading activations out of a model."""
