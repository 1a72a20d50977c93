"""Records become arrays, labels and colours to draw; no toolkit."""
