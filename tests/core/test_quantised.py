"""Quantised weights: each format against numbers worked out one by one, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import microtome as mt
from microtome.errors import ModelDamaged, QuantisedModel

IDS = (3, 17, 4, 4, 60, 22, 9, 31, 8)
MATRIX = "model.layers.1.mlp.down_proj"  # 24 rows of 40
SHAPE = (24, 40)
INT = {"num_bits": 8, "type": "int", "symmetric": True}


def _fp8(random):
    """Blocks of 16 by 16, those at the edges cut off."""
    weight = torch.from_numpy(random.normal(size=SHAPE)).to(torch.float8_e4m3fn)
    scale = torch.from_numpy(random.uniform(0.1, 0.3, (2, 3))).float()
    plain = torch.zeros(SHAPE)
    for row in range(24):
        for column in range(40):
            plain[row, column] = weight.float()[row, column] * scale[row // 16, column // 16]
    config = {"quant_method": "fp8", "weight_block_size": [16, 16]}
    return {"weight": weight, "weight_scale_inv": scale}, plain, config


def _eight_bits(random):
    """bitsandbytes: whole numbers up to 127 and the largest value of each row."""
    weight = torch.from_numpy(random.integers(-127, 128, SHAPE)).to(torch.int8)
    largest = torch.from_numpy(random.uniform(0.2, 0.6, 24)).float()
    plain = torch.stack([row.float() / 127 * top for row, top in zip(weight, largest, strict=True)])
    parts = {"weight": weight, "SCB": largest, "weight_format": torch.tensor(0, dtype=torch.uint8)}
    return parts, plain, {"quant_method": "bitsandbytes", "load_in_8bit": True}


def _four_bits(random):
    """bitsandbytes: a table of 16 values, a scale for 64 of them, scales themselves quantised."""
    table = torch.linspace(-1, 1, 16)
    scales_table = torch.linspace(-0.1, 0.1, 256)
    indices = random.integers(0, 16, 24 * 40)
    codes, outer, offset = random.integers(0, 256, 15), torch.tensor([2.0]), 0.4
    flat = [
        table[index] * (scales_table[codes[at // 64]] * outer[0] + offset)
        for at, index in enumerate(indices.tolist())
    ]
    pairs = indices.reshape(-1, 2)
    state = {
        "quant_type": "nf4", "blocksize": 64, "shape": list(SHAPE), "dtype": "float32",
        "nested_blocksize": 256, "nested_offset": offset, "nested_dtype": "float32",
    }  # fmt: skip
    parts = {
        "weight": torch.tensor(pairs[:, :1] * 16 + pairs[:, 1:], dtype=torch.uint8),
        "weight.absmax": torch.from_numpy(codes).to(torch.uint8),
        "weight.quant_map": table,
        "weight.nested_absmax": outer,
        "weight.nested_quant_map": scales_table,
        "weight.quant_state.bitsandbytes__nf4": torch.tensor(
            list(json.dumps(state).encode()), dtype=torch.uint8
        ),
    }
    config = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    return parts, torch.stack(flat).reshape(SHAPE), config


def _packed(random):
    """compressed-tensors: eight whole numbers of four bits in a word, a scale for 8 of a row."""
    values = random.integers(-8, 8, SHAPE)
    scale = torch.from_numpy(random.uniform(0.02, 0.06, (24, 5))).float()
    words = [
        [
            sum(int(v + 8) << (4 * at) for at, v in enumerate(row[i : i + 8]))
            for i in range(0, 40, 8)
        ]
        for row in values
    ]
    signed = np.array(words, dtype=np.uint32).view(np.int32)
    plain = torch.zeros(SHAPE)
    for row in range(24):
        for column in range(40):
            plain[row, column] = float(values[row, column]) * scale[row, column // 8]
    parts = {
        "weight_packed": torch.from_numpy(signed.copy()),
        "weight_scale": scale,
        "weight_shape": torch.tensor(SHAPE),
    }
    return parts, plain, _compressed("pack-quantized", {**INT, "num_bits": 4})


def _whole_numbers(random):
    """compressed-tensors: a scale for the whole matrix."""
    weight = torch.from_numpy(random.integers(-127, 128, SHAPE)).to(torch.int8)
    scale = torch.tensor([0.003])
    parts = {"weight": weight, "weight_scale": scale, "input_scale": torch.ones(1)}
    return parts, weight.float() * 0.003, _compressed("int-quantized", INT)


def _compressed(layout, weights):
    groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
    return {"quant_method": "compressed-tensors", "format": layout, "config_groups": groups}


FORMATS = {
    "fp8": _fp8, "eight bits": _eight_bits, "four bits": _four_bits, "packed": _packed,
    "whole numbers": _whole_numbers,
}  # fmt: skip


def _folder(tiny_folder, target, config, parts):
    """A tiny Llama with one matrix replaced, and a configuration that says how it is stored."""
    base = tiny_folder("llama")
    tensors = load_file(base / "model.safetensors")
    del tensors[f"{MATRIX}.weight"]
    tensors |= {f"{MATRIX}.{name}": tensor for name, tensor in parts.items()}
    save_file(tensors, target / "model.safetensors", {"format": "pt"})
    settings = json.loads((base / "config.json").read_text())
    if config is not None:
        settings["quantization_config"] = config
    (target / "config.json").write_text(json.dumps(settings))
    return target


@pytest.mark.parametrize("stored", FORMATS)
def test_quantised_weights_are_what_they_stand_for(tiny_folder, tmp_path, stored):
    parts, plain, config = FORMATS[stored](np.random.default_rng(0))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    model = mt.load_model(_folder(tiny_folder, tmp_path / "a", config, parts))
    expected = mt.load_model(_folder(tiny_folder, tmp_path / "b", None, {"weight": plain}))
    held = dict(model.module.named_parameters())[f"{MATRIX}.weight"]
    np.testing.assert_allclose(held, plain, rtol=1e-6, atol=1e-7)
    logits = [mt.trace(one, IDS).logits for one in (model, expected)]
    np.testing.assert_allclose(*logits, rtol=0, atol=1e-4)
    assert model.identity.weights.startswith("dequantised to float32 from ")
    assert model.identity.weights in mt.coverage(model).notes[0]


def test_a_session_says_what_its_weights_were_made_from(tiny_folder, tmp_path):
    parts, _, config = _fp8(np.random.default_rng(0))
    model = mt.load_model(_folder(tiny_folder, tmp_path, config, parts), dtype="bfloat16")
    mt.save_session(tmp_path / "s.h5", mt.Session(model, (mt.trace(model, IDS),)))
    said = mt.open_session(tmp_path / "s.h5").model.weights
    assert said == "dequantised to bfloat16 from fine-grained fp8"


REFUSED = {
    "gptq": ({"quant_method": "gptq", "bits": 4}, "by gptq; .* with gptqmodel and optimum"),
    "mxfp4": ({"quant_method": "mxfp4"}, "by mxfp4; .* with accelerate and kernels"),
    "unnamed": ({"bits": 4}, "by an unnamed method"),
    "layout": (_compressed("marlin-24", INT), "the layout marlin-24"),
    "zero points": (_compressed("pack-quantized", {**INT, "symmetric": False}), "zero points"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_formats_are_refused_before_weights_are_read(tiny_folder, tmp_path, case):
    config, said = REFUSED[case]
    folder = _folder(tiny_folder, tmp_path, config, {})
    (folder / "model.safetensors").unlink()
    with pytest.raises(QuantisedModel, match=said) as caught:
        mt.load_model(folder)
    assert "not quantised" in caught.value.way_out


def test_parts_that_do_not_fit_are_a_damaged_model(tiny_folder, tmp_path):
    parts, _, config = _eight_bits(np.random.default_rng(0))
    folder = _folder(tiny_folder, tmp_path, config, {**parts, "SCB": torch.ones(7)})
    with pytest.raises(ModelDamaged, match=f"weights of {MATRIX} do not fit together"):
        mt.load_model(folder)
