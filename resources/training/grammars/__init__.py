"""The language of words-4l: one module a family of tasks."""
