"""What a fresh process has loaded, by its own account."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

TOOLKITS = {"PySide6", "pyqtgraph", "vispy", "psygnal", "superqt", "qtawesome"}
ENGINES = {"torch", "transformers"}


def loaded_after(statements: str, *arguments: str) -> set[str]:
    """Return the top-level modules of a fresh interpreter that has run `statements`."""
    report = "import json, sys; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{statements}\n{report}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_loaded_modules_are_seen():
    assert "torch" in loaded_after("import torch")


def test_importing_the_engine_loads_neither_torch_nor_qt():
    loaded = loaded_after("import microtome")
    assert not loaded & (ENGINES | TOOLKITS | {"h5py", "numpy"})


def test_tracing_loads_no_toolkit():
    loaded = loaded_after(
        "import microtome\nmicrotome.trace(microtome.load_model('induction-exact-tiny'), [0, 1, 2])"
    )
    assert loaded >= {"torch", "transformers"}
    assert not loaded & TOOLKITS


@pytest.fixture(scope="module")
def session_file(tmp_path_factory):
    import microtome as mt

    model = mt.load_model("induction-exact-tiny")
    trace = mt.trace(model, [0, 1, 2, 1])
    path = tmp_path_factory.mktemp("review") / "review.h5"
    mt.save_session(path, mt.Session(model=model.identity, traces=(trace,)))
    return path


@pytest.fixture
def tensors(tmp_path):
    import torch

    path = tmp_path / "scores.pt"
    torch.save({"blocks.0.hook_resid_post": torch.ones(3)}, path)
    return path


def test_review_of_sessions_and_graphs_loads_neither_torch_nor_transformers(session_file, tensors):
    loaded = loaded_after(
        "import sys, microtome\n"
        "import numpy as np\n"
        "session = microtome.open_session(sys.argv[1])\n"
        "assert np.isfinite(session.clean.activation('resid_post.0')).all()\n"
        "assert microtome.read_graph(sys.argv[2]).n_edges == 3",
        str(session_file),
        str(tensors),
    )
    assert "h5py" in loaded
    assert not loaded & (ENGINES | TOOLKITS)
