"""Work that leaves the GUI thread, and its way back."""
