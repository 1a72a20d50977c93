"""Makes the pictures of the documentation, and their page, from the real program."""
