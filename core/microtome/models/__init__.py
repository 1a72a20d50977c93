"""Models: loading, families, anatomy, hooks; the only place that knows transformers."""
