"""Which components carry the answer, and how they hand it on."""
