"""Dictionaries of the hub: fetched only when that is allowed, one folder and no code of it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_files import D_IN, D_SAE, Held, jump, sae_shapes, write_saelens

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


def _npz(seed: int) -> tuple[Held, bytes]:
    held, out = Held(seed, **sae_shapes(threshold=(D_SAE,))), io.BytesIO()
    held["threshold"] = held["threshold"].abs()
    np.savez(out, **{name: tensor.numpy() for name, tensor in held.items()})
    return held, out.getvalue()


def test_a_set_whose_layers_lie_in_another_repository(local_hub) -> None:
    """As circuit-tracer has Gemma Scope: settings here, arrays there, encoders turned."""
    layers = [_npz(seed) for seed in range(2)]
    names = [f"layer_{at}/width_16k/params.npz" for at in range(2)]
    config = "model_kind: transcoder_set\nmodel_name: google/gemma-2-2b\ntranscoders:\n" + "".join(
        f"- hf://scope/arrays/{name}\n" for name in names
    )
    local_hub.models["tracer/set"] = {"config.yaml": config.encode()}
    local_hub.models["scope/arrays"] = {
        name: data for name, (_, data) in zip(names, layers, strict=True)
    }
    with pytest.raises(Offline, match="tracer/set is not on this computer"):
        mt.load_transcoders("tracer/set")
    many = mt.load_transcoders("tracer/set", allow_download=True)
    rows = torch.randn(5, D_IN, generator=torch.Generator().manual_seed(1)) * 2
    for at, (held, _) in enumerate(layers):
        codes = jump(rows.double().numpy() @ held.W_enc + held.b_enc, held.threshold)
        codes[0] = 0
        assert np.abs(many.encode(at, rows).numpy() - codes).max() < 1e-5
    local_hub.requests.clear()
    told = mt.inspect_dictionary("tracer/set")
    assert (told.n_layers, told.identity.model) == (2, "google/gemma-2-2b")
    assert local_hub.requests == []
    moved = config.replace("params.npz\n", "params.npz@a1b2\n", 1)
    local_hub.models["tracer/old"] = {"config.yaml": moved.encode()}
    with pytest.raises(DictionaryError, match="revision a1b2 of scope/arrays"):
        mt.load_transcoders("tracer/old", allow_download=True)
