"""Session files: the only place that knows HDF5."""
