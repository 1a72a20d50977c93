"""Dictionaries of the hub: fetched only when that is allowed, one folder and no code of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from plain_files import D_IN, Held, sae_shapes, write_saelens

import microtome as mt
from microtome.errors import DictionaryError, Offline
from microtome.jobs import Job

NAME = "owner/saes"


@pytest.fixture
def hub(local_hub, tmp_path: Path):
    write_saelens(tmp_path / "sae", Held(**sae_shapes()), "standard")
    held = {f"layer_1/{path.name}": path.read_bytes() for path in (tmp_path / "sae").iterdir()}
    other = {"layer_2/sae_weights.safetensors": b"never", "layer_1/run.py": b"import os",
             "README.md": b"# dictionaries"}  # fmt: skip
    local_hub.models[NAME] = held | other
    return local_hub


def test_a_folder_of_the_hub_is_fetched_when_that_is_allowed(hub, tmp_path: Path) -> None:
    with pytest.raises(Offline, match="owner/saes/layer_1 is not on this computer"):
        mt.load_dictionary(f"{NAME}/layer_1")
    assert hub.requests == []
    parts: dict[str, object] = {}
    job = Job(lambda _: None, parts.__setitem__)
    told = mt.inspect_dictionary(f"{NAME}/layer_1", allow_download=True, job=job)
    assert told.identity.name == f"{NAME}/layer_1"
    assert {name for name, _ in hub.requests} == {
        "layer_1/cfg.json", "layer_1/sae_weights.safetensors",
    }  # fmt: skip
    assert parts["download"].total == told.nbytes
    hub.requests.clear()
    one = mt.load_dictionary(f"{NAME}/layer_1")
    rows = torch.ones(2, D_IN)
    assert torch.equal(one.encode(rows), mt.load_dictionary(tmp_path / "sae").encode(rows))
    assert hub.requests == []


def test_a_repository_of_folders_names_them(hub) -> None:
    with pytest.raises(DictionaryError, match="Name one of its 2 folders, for example layer_1"):
        mt.inspect_dictionary(NAME, allow_download=True)
    assert hub.requests == []
