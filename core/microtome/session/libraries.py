"""Which HDF5 library reads and writes sessions here."""

from __future__ import annotations

import h5py


def hdf5_version() -> str:
    """The version of the HDF5 library inside h5py; no file is opened."""
    return str(h5py.version.hdf5_version)
