"""How a session file is looked at before it is opened: walked, and its small parts read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from microtome.session.handle import Handle
from microtome.session.safety import check_inflation

_SMALL = 1 << 20


def examine(paths: Sequence[Path]) -> None:
    """Check a file as the reader would, and read all that the reader reads on opening.

    Raises what the reader would raise.
    """
    (path,) = paths
    handle = Handle(path)
    with handle.understanding():
        for name in handle.inspect():
            with handle.reading(name) as file:
                dataset = file[name]
                if dataset.nbytes <= _SMALL:
                    check_inflation(dataset.id, name)
                    dataset[...]
    handle.close()
