"""Graph files of other tools: one module for each format, and a table of them in ``files``."""
