"""Whether UMAP can be used here; asked without importing it, or anything else."""

from __future__ import annotations

from importlib.util import find_spec

NO_UMAP = "UMAP is not installed."
GET_UMAP = "Install microtome[umap], or take the principal components."


def has_umap() -> bool:
    """Whether the extra ``microtome[umap]`` is installed."""
    return find_spec("umap") is not None
