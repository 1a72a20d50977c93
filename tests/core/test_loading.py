"""Opening models: what works, and what every kind of bad folder is told."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from microtome.errors import (
    AnswerError,
    Cancelled,
    InputError,
    MemoryExceeded,
    MicrotomeError,
    ModelDamaged,
    ModelNotFound,
    Offline,
    PromptError,
    TokenizerMissing,
    UnknownArchitecture,
    UnsafeModel,
)
from microtome.jobs import Job
from microtome.models import hub, loading
from microtome.models.devices import available_devices
from microtome.models.loading import load_model

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A copy of a good model that a test may spoil."""
    return Path(shutil.copytree(tiny_folder("gpt2"), tmp_path / "spoilt"))


def _change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


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


# ---------------------------------------------------------------------- good models


def test_identity_says_what_the_model_is(tiny_model, family):
    model = tiny_model(family)
    identity = model.identity
    assert identity.architecture == model.config.model_type
    assert (identity.n_layers, identity.n_heads, identity.d_model) == (3, 4, 24)
    assert identity.n_kv_heads == getattr(model.config, "num_key_value_heads", 4)
    assert identity.context == 48
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


# ---------------------------------------------------------------------- bad folders


def _missing(folder):
    shutil.rmtree(folder)


def _empty(folder):
    for path in folder.iterdir():
        path.unlink()


def _unfinished(folder):
    (folder / WEIGHTS).rename(folder / "model.safetensors.incomplete")


def _pickles(folder):
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def _no_weights(folder):
    (folder / WEIGHTS).unlink()


def _no_config(folder):
    (folder / "config.json").unlink()


def _config_not_json(folder):
    (folder / "config.json").write_text("{")


def _config_deep(folder):
    (folder / "config.json").write_text("[" * 200_000)


def _truncated(folder):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def _truncated_header(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:100])


def _seven_bytes(folder):
    (folder / WEIGHTS).write_bytes(b"1234567")


def _repeated_name(folder):
    row = json.dumps({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})
    header = f'{{"a": {row}, "a": {row}}}'.encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)


def _missing_shard(folder):
    _shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def _index(target):
    def spoil(folder):
        _shard(folder)
        index = json.loads((folder / INDEX).read_text())
        first = next(iter(index["weight_map"]))
        index["weight_map"][first] = target
        (folder / INDEX).write_text(json.dumps(index))

    return spoil


def _link_out(folder):
    outside = folder.parent / "outside.safetensors"
    (folder / WEIGHTS).rename(outside)
    (folder / WEIGHTS).symlink_to(outside)


def _lacking_tensor(folder):
    tensors = load_file(folder / WEIGHTS)
    extra = tensors.pop("transformer.h.1.mlp.c_fc.weight")
    save_file({**tensors, "something.else": extra}, folder / WEIGHTS, {"format": "pt"})


def _wrong_shape(folder):
    tensors = load_file(folder / WEIGHTS)
    tensors["transformer.ln_f.bias"] = torch.zeros(30)
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})


def _config(**changes):
    return lambda folder: _change_config(folder, **changes)


BAD = {
    "missing": (_missing, ModelNotFound, "neither an embedded model nor a folder"),
    "empty": (_empty, ModelDamaged, "is empty"),
    "unfinished": (_unfinished, ModelDamaged, r"did not finish: model.safetensors.incomplete"),
    "pickles": (_pickles, UnsafeModel, r"pytorch_model.bin.*can run code.*save_pretrained"),
    "no weights": (_no_weights, ModelDamaged, r"holds no model.safetensors"),
    "no config": (_no_config, ModelDamaged, r"no file config.json"),
    "config not JSON": (_config_not_json, ModelDamaged, r"config.json is not readable as JSON"),
    "config deep": (_config_deep, ModelDamaged, r"config.json is not readable as JSON"),
    "truncated": (_truncated, ModelDamaged, "is not whole"),
    "truncated header": (_truncated_header, ModelDamaged, "is not whole"),
    "seven bytes": (_seven_bytes, ModelDamaged, "is not whole"),
    "repeated name": (_repeated_name, ModelDamaged, "a name occurs twice"),
    "missing shard": (_missing_shard, ModelDamaged, "1 of 2 weight files.*model-00002-of-00002"),
    "index up": (_index("../../x.safetensors"), UnsafeModel, r"names '../../x.safetensors'"),
    "index absolute": (_index("/etc/hostname"), UnsafeModel, "names '/etc/hostname'"),
    "index pickle": (_index("x.bin"), UnsafeModel, "names 'x.bin'"),
    "link out": (_link_out, UnsafeModel, "a link that leaves the folder"),
    "lacking tensor": (_lacking_tensor, ModelDamaged, r"lack 1 tensors.*h.1.mlp.c_fc.weight"),
    "wrong shape": (_wrong_shape, ModelDamaged, "could not be loaded"),
    "auto_map": (_config(auto_map={"AutoModel": "x.Y"}), UnsafeModel, "'auto_map'"),
    "nested": (_config(sub={"auto_map": {}}), UnsafeModel, "'auto_map'"),
    "remote": (_config(trust_remote_code=True), UnsafeModel, "'trust_remote_code'"),
    "kernel": (_config(_attn_implementation_internal="a/b"), UnsafeModel, "'_attn_impl"),
    "experts": (_config(_experts_implementation="a/b"), UnsafeModel, "'_experts_impl"),
    "unknown": (_config(model_type="mamba"), UnknownArchitecture, "'mamba'.*where to find.*GPT-2"),
    "no type": (_config(model_type=None), ModelDamaged, "no model_type"),
    "layers 1e9": (_config(n_layer=10**9), ModelDamaged, "n_layer = 1000000000"),
    "layers 900": (_config(n_layer=900), ModelDamaged, "announces 900 layers.*hold 4"),
    "layers -1": (_config(n_layer=-1), ModelDamaged, "n_layer = -1"),
    "layers text": (_config(n_layer="3"), ModelDamaged, "n_layer = '3'"),
    "wide": (_config(n_embd=4096, n_head=64), ModelDamaged, "announces .* parameters.*hold"),
    "heads": (_config(n_head=5), ModelDamaged, "describes no possible model"),
    "activation": (_config(activation_function="tanh"), UnknownArchitecture, "'tanh' is not known"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_folder_is_refused_by_name_with_the_way_out(folder, case):
    spoil, kind, said = BAD[case]
    spoil(folder)
    with pytest.raises(MicrotomeError, match=said) as caught:
        load_model(folder)
    assert type(caught.value) is kind
    assert caught.value.way_out
    assert "\n" not in str(caught.value)


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


# ---------------------------------------------------------------------- names and the hub


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


def test_a_hub_id_is_fetched_without_pickles_and_code(folder, monkeypatch):
    calls = []

    def fetch(name, *, allow_patterns, local_files_only):
        calls.append((name, local_files_only))
        assert not any(".bin" in pattern or ".py" in pattern for pattern in allow_patterns)
        if local_files_only:
            raise hub.LocalEntryNotFoundError("not cached")
        return str(folder)

    monkeypatch.setattr(hub.huggingface_hub, "snapshot_download", fetch)
    assert load_model("owner/model", allow_download=True).identity.name == "owner/model"
    assert calls == [("owner/model", True), ("owner/model", False)]


# ---------------------------------------------------------------------- tokens and answers


def test_without_a_tokenizer_ids_are_asked_for(tiny_model):
    model = tiny_model("gpt2")
    assert model.tokenizer is None
    with pytest.raises(TokenizerMissing, match=r"no tokenizer.*token ids"):
        model.tokenize("hello")
    tokens = model.tokenize([5, 7])
    assert tokens.texts == ("<5>", "<7>")
    assert tokens.prompt == "5 7"
    assert model.answer_token("7") == 7
    with pytest.raises(TokenizerMissing):
        model.answer_token("word")


@pytest.fixture(scope="module")
def wordy(tiny_folder, tmp_path_factory):
    """A model whose word-level tokenizer is smaller than its embedding."""
    from sys import modules

    folder = Path(shutil.copytree(tiny_folder("llama"), tmp_path_factory.mktemp("w") / "wordy"))
    modules["tiny_models"].save_tokenizer(folder, ("Mary", "John", "gave"), size=20)
    return load_model(folder)


def test_a_tokenizer_smaller_than_the_embedding(wordy):
    assert wordy.token_text(19) == "w19"
    assert wordy.token_text(20) == "<20>"
    assert wordy.tokenize([2, 60]).texts == ("John", "<60>")
    assert "Mary" in wordy.vocabulary_words()
    assert "<unk>" not in wordy.vocabulary_words()


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ((), "is empty"),
        ((1, 61), "id 61 is outside the vocabulary of wordy.*0 to 60"),
        ((-1,), "id -1 is outside"),
        ((1,) * 49, "has 49 tokens, but wordy reads at most 48.*by 1 tokens"),
        ("Mary " * 50, "has 50 tokens"),
    ],
)
def test_prompts_that_cannot_be_read(wordy, prompt, said):
    with pytest.raises(PromptError, match=said):
        wordy.tokenize(prompt)


def test_unknown_words_keep_their_text(wordy):
    tokens = wordy.tokenize("Mary frobbed John")
    assert tokens.texts == ("Mary", "frobbed", "John")
    assert tokens.unknown == (1,)
    np.testing.assert_array_equal(tokens.ids, [1, 0, 2])


def test_answers(wordy):
    assert wordy.answer_token("Mary") == wordy.answer_token(" Mary") == 1
    assert wordy.answer_token(5) == 5
    with pytest.raises(AnswerError, match=r"'Mari' is not in the model's vocabulary.*Mary"):
        wordy.answer_token("Mari")
    with pytest.raises(AnswerError, match=r"'Mary John' is 2 tokens \('Mary' \+ 'John'\)"):
        wordy.answer_token("Mary John")
    with pytest.raises(AnswerError, match="99 is outside"):
        wordy.answer_token(99)
    with pytest.raises(AnswerError, match="is empty"):
        wordy.answer_token(" ")


def test_a_word_is_first_looked_for_with_its_space(tmp_path, tiny_folder):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"Mary": 0, "ĠMary": 1, ".": 2, "Ġ.": 3, "Ma": 4, "ry": 5, "Ġ": 6, "M": 7,
                  "a": 8, "r": 9, "y": 10, "âĤ": 11, "Ċ": 12}  # fmt: skip
    merges = [("M", "a"), ("r", "y"), ("Ma", "ry"), ("Ġ", "Mary"), ("Ġ", ".")]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder = Path(shutil.copytree(tiny_folder("gpt2"), tmp_path / "bytes"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    model = load_model(folder)
    assert model.answer_token("Mary") == 1
    assert model.answer_token(".") == 2
    assert model.answer_token(" .") == 3
    assert [model.token_text(token) for token in (1, 2, 11, 12)] == [" Mary", ".", "âĤ", "\n"]


def test_a_tokenizer_that_panics_is_an_error_like_any_other(wordy, monkeypatch):
    class PanicException(BaseException):
        pass

    def panic(*_args, **_options):
        raise PanicException("retry-limit-in-match over")

    monkeypatch.setattr(type(wordy.tokenizer), "__call__", panic)
    with pytest.raises(PromptError, match=r"broke down on this text: retry-limit"):
        wordy.tokenize("aaaa")


def test_a_damaged_tokenizer(folder):
    (folder / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(ModelDamaged, match=r"tokenizer of spoilt cannot be opened.*token ids"):
        load_model(folder)


def test_a_tokenizer_with_code(wordy, tiny_folder, tmp_path):
    folder = Path(shutil.copytree(tiny_folder("gpt2"), tmp_path / "code"))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["a.B", null]}}')
    with pytest.raises(UnsafeModel, match=r"tokenizer_config.json holds the key 'auto_map'"):
        load_model(folder)


def test_a_real_tokenizer_gives_what_it_gives(stories):
    tokens = stories.tokenize("Once upon a time")
    assert tokens.texts[:2] == ("<s>", " Once")
    assert "".join(tokens.texts[1:]) == " Once upon a time"
    assert stories.token_text(stories.answer_token("time")) == " time"
    assert stories.identity.name == "stories260k"
