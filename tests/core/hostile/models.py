"""Folders of models that are broken, mislead or would run code, each with its reason."""

from __future__ import annotations

import json
import shutil
import struct

import torch
from safetensors.torch import load_file, save_file

from microtome.errors import ModelDamaged, ModelNotFound, UnknownArchitecture, UnsafeModel

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


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
    "config deep": (_config_deep, ModelDamaged, r"config.json is nested too deeply"),
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
    "wrong shape": (_wrong_shape, ModelDamaged, "have other shapes than its config.json"),
    "auto_map": (_config(auto_map={"AutoModel": "x.Y"}), UnsafeModel, "'auto_map'"),
    "nested": (_config(sub={"auto_map": {}}), UnsafeModel, "'auto_map'"),
    "remote": (_config(trust_remote_code=True), UnsafeModel, "'trust_remote_code'"),
    "kernel": (_config(_attn_implementation_internal="a/b"), UnsafeModel, "'_attn_impl"),
    "experts": (_config(_experts_implementation="a/b"), UnsafeModel, "'_experts_impl"),
    "unknown": (
        _config(model_type="sam"),
        UnknownArchitecture,
        "'sam'.*where to find.*GPT-2",
    ),
    "no type": (_config(model_type=None), ModelDamaged, "no model_type"),
    "layers 1e9": (_config(n_layer=10**9), ModelDamaged, "n_layer = 1000000000"),
    "layers 900": (_config(n_layer=900), ModelDamaged, "announces 900 layers.*hold 4"),
    "layers -1": (_config(n_layer=-1), ModelDamaged, "n_layer = -1"),
    "layers text": (_config(n_layer="3"), ModelDamaged, "n_layer = '3'"),
    "wide": (_config(n_embd=4096, n_head=64), ModelDamaged, "announces .* parameters.*hold"),
    "heads": (_config(n_head=5), ModelDamaged, "describes no possible model"),
    "activation": (_config(activation_function="tanh"), UnknownArchitecture, "'tanh' is not known"),
}
