"""Files of ``torch.save`` as other tools of graphs write them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from microtome.circuits.formats import inert


@contextmanager
def saving_torch(path: Path) -> Iterator[dict[Any, Any]]:
    """A dict to fill; at the end it is written as ``torch.save`` does, its arrays as tensors.

    Records of other tools among the values are written as what they stand for.
    """
    held: dict[Any, Any] = {}
    yield held
    # Only those who write such a file wait for torch.
    import torch

    values = {
        key: torch.from_numpy(np.ascontiguousarray(value))
        if isinstance(value, np.ndarray)
        else value
        for key, value in held.items()
    }
    torch.save(values, path, pickle_module=inert)
