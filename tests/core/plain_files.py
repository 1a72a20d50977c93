"""Files of dictionaries as their own tools write them, each with its formula in float64.

Written by plain means from random tensors, so that nothing of Microtome's readers is in them. A
case writes a folder and gives what encodes and what is written, as plain NumPy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from safetensors.torch import save_file

D_IN, D_OUT, D_SAE, K = 6, 4, 20, 3
Array = np.ndarray


class Held(dict):
    """Tensors by name, drawn when they are first asked for; attributes are float64 arrays."""

    def __init__(self, seed: int = 0, **shapes: tuple[int, ...]) -> None:
        random = torch.Generator().manual_seed(seed)
        super().__init__(
            {name: torch.randn(*shape, generator=random) * 0.5 for name, shape in shapes.items()}
        )

    def __getattr__(self, name: str) -> Array:
        return self[name].double().numpy()


def relu(values: Array) -> Array:
    return np.maximum(values, 0)


def top(values: Array, k: int = K) -> Array:
    lowest = np.sort(values, axis=1)[:, -k][:, None]
    return relu(np.where(values >= lowest, values, 0))


def jump(values: Array, threshold: Array | float) -> Array:
    return relu(values) * (values > threshold)


def sae_shapes(d_out: int = D_IN, **more: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {"W_enc": (D_IN, D_SAE), "W_dec": (D_SAE, d_out), "b_enc": (D_SAE,),
            "b_dec": (d_out,), **more}  # fmt: skip


def write_saelens(folder: Path, held: Held, architecture: str, **cfg: object) -> None:
    meta = {"model_name": "gpt2", "hook_name": "blocks.1.hook_resid_post",
            "sae_lens_version": "6.12.0"} | cfg.pop("metadata", {})  # fmt: skip
    whole = {"architecture": architecture, "d_in": D_IN, "d_sae": D_SAE, "dtype": "float32",
             "device": "cpu", "apply_b_dec_to_input": True, "normalize_activations": "none",
             "reshape_activations": "none", "metadata": meta}  # fmt: skip
    write_pair(folder, "cfg.json", whole | cfg, "sae_weights.safetensors", held)


def write_pair(folder: Path, cfg_name: str, cfg: object, name: str, held: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / cfg_name).write_text(json.dumps(cfg))
    (folder / name).parent.mkdir(exist_ok=True)
    save_file({key: each.contiguous() for key, each in held.items()}, folder / name)


Formula = Callable[[Array], tuple[Array, Array]]
Case = Callable[[Path], SimpleNamespace]


def told(formula: Formula, architecture: str, reads: str = "resid_post.1", **more: object):
    more = {"writes": reads, "model": "gpt2", "folder": "", "asked": {}, "note": ""} | more
    return SimpleNamespace(formula=formula, architecture=architecture, reads=reads, **more)


def _sae(rule: Callable[[Array, Held], Array], architecture: str, name: str, **cfg: object) -> Case:
    """A plain encoder and decoder with a rule in between; subtracts b_dec unless cfg says not."""
    extra = {"threshold": (D_SAE,)} if "threshold" in str(cfg.pop("needs", "")) else {}

    def case(folder: Path) -> SimpleNamespace:
        held = Held(**sae_shapes(**extra))
        if "threshold" in held:
            held["threshold"] = held["threshold"].abs()
        write_saelens(folder, held, name, **cfg)

        def formula(x: Array) -> tuple[Array, Array]:
            centred = x - held.b_dec * cfg.get("apply_b_dec_to_input", True)
            codes = rule(centred @ held.W_enc + held.b_enc, held)
            return codes, codes @ held.W_dec + held.b_dec

        return told(formula, architecture)

    return case


def _rescaled_topk(folder: Path) -> SimpleNamespace:
    held = Held(**sae_shapes())
    write_saelens(folder, held, "topk", k=K, rescale_acts_by_decoder_norm=True)
    norms = np.linalg.norm(held.W_dec, axis=1)

    def formula(x: Array) -> tuple[Array, Array]:
        codes = top(((x - held.b_dec) @ held.W_enc + held.b_enc) * norms)
        return codes, (codes / norms) @ held.W_dec + held.b_dec

    return told(formula, "topk sae")


def _batch_topk(name: str, rescale: bool) -> Case:
    def case(folder: Path) -> SimpleNamespace:
        held = Held(**sae_shapes())
        write_saelens(
            folder, Held.__new__(Held) | held | {"topk_threshold": torch.tensor(0.4)}, name,
            k=K, rescale_acts_by_decoder_norm=rescale,
        )  # fmt: skip
        norms = np.linalg.norm(held.W_dec, axis=1) if rescale else np.ones(D_SAE)

        def formula(x: Array) -> tuple[Array, Array]:
            codes = jump(((x - held.b_dec) @ held.W_enc + held.b_enc) * norms, 0.4)
            return codes, (codes / norms) @ held.W_dec + held.b_dec

        return told(formula, "jumprelu sae")

    return case


def _gated(folder: Path) -> SimpleNamespace:
    vectors = dict.fromkeys(("b_gate", "b_mag", "r_mag"), (D_SAE,))
    held = Held(W_enc=(D_IN, D_SAE), W_dec=(D_SAE, D_IN), b_dec=(D_IN,), **vectors)
    write_saelens(folder, held, "gated")

    def formula(x: Array) -> tuple[Array, Array]:
        centred = x - held.b_dec
        on = centred @ held.W_enc + held.b_gate > 0
        codes = on * relu(centred @ (held.W_enc * np.exp(held.r_mag)) + held.b_mag)
        return codes, codes @ held.W_dec + held.b_dec

    return told(formula, "gated sae")


def _pursuit(folder: Path) -> SimpleNamespace:
    held = Held(W_dec=(D_SAE, D_IN), b_dec=(D_IN,))
    held["W_dec"] /= held["W_dec"].norm(dim=1, keepdim=True)
    write_saelens(folder, held, "matching_pursuit", residual_threshold=0.3)

    def formula(x: Array) -> tuple[Array, Array]:
        codes = np.zeros((len(x), D_SAE))
        for row, left in enumerate(x - held.b_dec):
            for _ in range(D_IN):
                best = int((held.W_dec @ left).argmax())
                gain, had = relu(held.W_dec[best] @ left), codes[row, best] > 0
                codes[row, best] += gain
                left = left - gain * held.W_dec[best]  # noqa: PLW2901
                if had or np.linalg.norm(left) < 0.3:
                    break
        return codes, codes @ held.W_dec + held.b_dec

    return told(formula, "matching_pursuit sae")


def _transcoder(name: str, *, skip: bool = False, rule: str = "relu", norm: str = "none") -> Case:
    def case(folder: Path) -> SimpleNamespace:
        more = {"W_skip": (D_OUT, D_IN)} if skip else {}
        more |= {"threshold": (D_SAE,)} if rule == "jumprelu" else {}
        held = Held(**sae_shapes(D_OUT, **more))
        write_saelens(
            folder, held, name, d_out=D_OUT, apply_b_dec_to_input=False,
            normalize_activations=norm,
            metadata={
                "hook_name": "blocks.1.mlp.hook_in", "hook_name_out": "blocks.1.hook_mlp_out",
            },
        )  # fmt: skip

        def formula(x: Array) -> tuple[Array, Array]:
            shift, scale = x.mean(1, keepdims=True), x.std(1, ddof=1, keepdims=True) + 1e-5
            read = (x - shift) / scale if norm == "layer_norm" else x
            pre = read @ held.W_enc + held.b_enc
            codes = jump(pre, held.threshold) if rule == "jumprelu" else relu(pre)
            out = codes @ held.W_dec + held.b_dec
            return codes, out + x @ held.W_skip.T if skip else out

        words = f"{rule} {'skip ' if skip else ''}transcoder"
        return told(formula, words, "mlp_in.1", writes="mlp_out.1")

    return case


def _normed(norm: str) -> Case:
    def case(folder: Path) -> SimpleNamespace:
        held = Held(**sae_shapes())
        write_saelens(folder, held, "standard", normalize_activations=norm)

        def formula(x: Array) -> tuple[Array, Array]:
            if norm == "layer_norm":
                shift, scale = x.mean(1, keepdims=True), x.std(1, ddof=1, keepdims=True)
                read = (x - shift) / (scale + 1e-5)
            else:
                shift, scale = 0.0, np.linalg.norm(x, axis=1, keepdims=True) / np.sqrt(D_IN)
                read = x / scale
            codes = relu((read - held.b_dec) @ held.W_enc + held.b_enc)
            return codes, (codes @ held.W_dec + held.b_dec) * scale + shift

        return told(formula, "relu sae")

    return case


def _flat(folder: Path) -> SimpleNamespace:
    """From before version 6: other names, a scaling factor of ones, heads of hook_z flattened."""
    held = Held(**sae_shapes())
    cfg = {"hook_point": "blocks.1.attn.hook_z", "hook_point_head_index": None, "d_in": D_IN,
           "d_sae": D_SAE, "dtype": "torch.float32", "activation_fn_str": "relu",
           "model_name": "gpt2", "normalize_activations": False}  # fmt: skip
    tensors = {**held, "scaling_factor": torch.ones(D_SAE)}
    write_pair(folder, "cfg.json", cfg, "sae_weights.safetensors", tensors)

    def formula(x: Array) -> tuple[Array, Array]:
        codes = relu((x - held.b_dec) @ held.W_enc + held.b_enc)
        return codes, codes @ held.W_dec + held.b_dec

    return told(formula, "relu sae", "z.1")


def _flat_topk(folder: Path) -> SimpleNamespace:
    """From before version 6: top-k is an activation function, and an average norm a flag."""
    held = Held(**sae_shapes())
    cfg = {"hook_name": "blocks.1.attn.hook_z", "hook_head_index": 2, "d_in": D_IN,
           "d_sae": D_SAE, "activation_fn": "topk", "activation_fn_kwargs": {"k": K},
           "model_name": "gpt2", "normalize_activations": True, "apply_b_dec_to_input": True,
           "sae_lens_version": "5.10.1"}  # fmt: skip
    write_pair(folder, "cfg.json", cfg, "sae_weights.safetensors", held)

    def formula(x: Array) -> tuple[Array, Array]:
        codes = top((x * 0.25 - held.b_dec) @ held.W_enc + held.b_enc)
        return codes, (codes @ held.W_dec + held.b_dec) / 0.25

    return told(formula, "topk sae", "z.1.2", asked={"scale": 0.25}, note="to an average norm")


SAELENS: dict[str, Case] = {
    "saelens standard": _sae(lambda pre, _: relu(pre), "relu sae", "standard"),
    "saelens not centred": _sae(
        lambda pre, _: relu(pre), "relu sae", "standard", apply_b_dec_to_input=False
    ),
    "saelens topk": _sae(lambda pre, _: top(pre), "topk sae", "topk", k=K),
    "saelens topk rescaled": _rescaled_topk,
    "saelens jumprelu": _sae(
        lambda pre, held: jump(pre, held.threshold), "jumprelu sae", "jumprelu", needs="threshold"
    ),
    "saelens batchtopk": _batch_topk("batchtopk", True),
    "saelens matryoshka": _batch_topk("matryoshka_batchtopk", False),
    "saelens gated": _gated,
    "saelens matching pursuit": _pursuit,
    "saelens transcoder": _transcoder("transcoder"),
    "saelens skip": _transcoder("skip_transcoder", skip=True, norm="layer_norm"),
    "saelens jump transcoder": _transcoder("jumprelu_transcoder", rule="jumprelu"),
    "saelens jump skip": _transcoder("jumprelu_skip_transcoder", rule="jumprelu", skip=True),
    "saelens layer norm": _normed("layer_norm"),
    "saelens constant norm": _normed("constant_norm_rescale"),
    "saelens before 6": _flat,
    "saelens before 6, topk": _flat_topk,
}
