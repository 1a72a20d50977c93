"""Files of sparse dictionaries of other tools: told, read and written."""
