"""What every kind of bad model folder is told, and that it is never acted upon."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hostile.models import WEIGHTS

from microtome.errors import (
    MemoryExceeded,
    ModelDamaged,
    ModelNotFound,
)
from microtome.models import loading
from microtome.models.loading import load_model


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of a good model that a test may spoil."""
    return Path(shutil.copytree(tiny_folder("gpt2"), tmp_path / "spoilt"))


def test_a_folder_that_may_not_be_read(folder, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ModelDamaged, match=r"spoilt cannot be read \(Permission denied\)"):
        load_model(folder)


def test_a_file_is_not_a_folder(folder):
    with pytest.raises(ModelNotFound, match="is a file, but a model is a folder"):
        load_model(folder / WEIGHTS)


def test_pickles_beside_safetensors_are_never_opened(folder):
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04not a pickle")
    assert load_model(folder).identity.n_layers == 3


def test_links_within_a_hub_cache_are_fine(folder, tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        shutil.move(path, blobs / path.name)
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)
    assert load_model(snapshot).identity.n_layers == 3


def test_memory_that_runs_out_is_said_so(folder, monkeypatch):
    def fail(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")

    monkeypatch.setattr(loading._Files, "_from_pretrained", fail)
    with pytest.raises(MemoryExceeded, match=r"spoilt do not fit into memory.*bfloat16"):
        load_model(folder)
