"""What ``neighbours`` runs in a process of its own; it uses nothing of Microtome.

Arguments: the folder of ``rows.npy``, how many components, a seed. Leaves ``points.npy`` there and
tells the epochs that are done on the standard output, as ``120/500``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

_NEIGHBOURS = 15


def main(arguments: Sequence[str]) -> None:
    """Place the rows of a folder."""
    folder, components, seed = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    import numpy as np
    from umap import UMAP

    rows = np.load(folder / "rows.npy")
    bar = {
        "disable": False, "file": sys.stdout, "bar_format": "{n_fmt}/{total_fmt}",
        "mininterval": 0.1, "ascii": True,
    }  # fmt: skip
    machine = UMAP(
        n_components=components, n_neighbors=min(_NEIGHBOURS, len(rows) - 1), metric="cosine",
        random_state=seed, n_jobs=1, tqdm_kwds=bar,
    )  # fmt: skip
    np.save(folder / "points.npy", np.asarray(machine.fit_transform(rows), np.float32))


if __name__ == "__main__":
    main(sys.argv[1:])
