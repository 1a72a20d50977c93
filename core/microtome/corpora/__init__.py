"""Text to learn from: streamed, never all in memory."""
