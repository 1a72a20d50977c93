"""Opening models by embedded name, folder or hub id, and recognising them again."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from microtome.errors import (
    Cancelled,
    InputError,
    ModelNotFound,
    Offline,
)
from microtome.jobs import Job
from microtome.models.devices import available_devices
from microtome.models.loading import load_model

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of a good model that a test may spoil."""
    return Path(shutil.copytree(tiny_folder("gpt2"), tmp_path / "spoilt"))


def _shard(folder):
    """Split the weights over two files with an index."""
    tensors = load_file(folder / WEIGHTS)
    names = sorted(tensors)
    table = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
        table |= dict.fromkeys(part, file)
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": table}))


def test_identity_says_what_the_model_is(tiny_model, family):
    model = tiny_model(family)
    identity = model.identity
    assert identity.architecture == model.config.model_type
    assert (identity.n_layers, identity.n_heads, identity.d_model) == (3, 4, 24)
    kv_heads = getattr(model.config, "num_key_value_heads", 4)
    assert identity.n_kv_heads == {"falcon": 2, "falcon_multi_query": 1}.get(family, kv_heads)
    assert identity.context == (None if family == "bloom" else 48)
    assert identity.vocabulary == 61
    assert identity.n_parameters == sum(p.numel() for p in model.module.parameters())
    assert identity.dtype == "float32"
    assert json.loads(identity.config_json)["model_type"] == identity.architecture
    assert set(identity.versions) >= {"torch", "transformers"}
    assert not model.module.training
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


def test_the_fingerprint_is_of_the_tensors_alone(folder):
    before = load_model(folder).identity.fingerprint
    tensors = load_file(folder / WEIGHTS)
    plain = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].numpy()
        plain.update(f"{name}\0F32\0{list(value.shape)}\0".encode())
        plain.update(hashlib.sha256(value.tobytes()).digest())
    assert before == plain.hexdigest()
    assert load_model(folder, dtype="bfloat16").identity.fingerprint == before
    _shard(folder)
    assert load_model(folder).identity.fingerprint == before


def test_one_changed_bit_changes_the_fingerprint(folder):
    before = load_model(folder).identity.fingerprint
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-3] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    assert load_model(folder).identity.fingerprint != before


def test_shards_load_like_one_file(folder):
    ids = torch.tensor([[1, 2, 3]])
    expected = load_model(folder).forward(ids)
    _shard(folder)
    assert torch.equal(load_model(folder).forward(ids), expected)


@pytest.mark.parametrize("name", ["float64", "bfloat16", "float16"])
def test_number_formats(tiny_model, name):
    model = tiny_model("gpt2", dtype=name)
    assert str(model.dtype) == f"torch.{name}"
    assert model.identity.dtype == name


def test_a_checkpoint_has_the_folder_of_its_model_and_its_own_weights(embedded):
    final, early = embedded("words-4l"), load_model("words-4l@1500")
    assert early.identity.name == "words-4l@1500"
    assert early.identity.fingerprint != final.identity.fingerprint
    assert early.identity.tokenizer_fingerprint == final.identity.tokenizer_fingerprint
    a, b = (model.anatomy.embedding for model in (final, early))
    assert a.shape == b.shape
    assert not torch.equal(a, b)


def test_the_engine_leaves_torchs_thread_count_alone(tiny_folder):
    before = torch.get_num_threads()
    load_model(tiny_folder("llama"))
    assert torch.get_num_threads() == before


def test_cancel_while_loading(tiny_folder):
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        load_model(tiny_folder("llama"), job=job)


def test_settings_that_do_not_exist_here(tiny_folder):
    assert available_devices()[0] == "cpu"
    with pytest.raises(InputError, match=r"no device 'cuda:7'.*cpu"):
        load_model(tiny_folder("gpt2"), device="cuda:7")
    with pytest.raises(InputError, match=r"number format 'int4'.*bfloat16"):
        load_model(tiny_folder("gpt2"), dtype="int4")


def test_unknown_names_suggest_near_ones():
    with pytest.raises(ModelNotFound, match=r"no model 'word-4l'.*Did you mean words-4l\?"):
        load_model("word-4l")
    with pytest.raises(ModelNotFound, match=r"no checkpoint '1501'.*1500"):
        load_model("words-4l@1501")
    with pytest.raises(ModelNotFound, match="no model ''"):
        load_model("")


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.usefixtures("empty_cache")
def test_a_hub_id_without_permission_to_download():
    with pytest.raises(Offline, match=r"owner/model is not on this computer.*Allow the download"):
        load_model("owner/model")


@pytest.mark.usefixtures("empty_cache")
def test_a_hub_id_where_the_environment_forbids_the_network(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(Offline, match=r"owner/model.*HF_HUB_OFFLINE|could not be reached"):
        load_model("owner/model", allow_download=True)
