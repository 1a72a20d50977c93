"""Files of the tools beside SAELens, each with its formula in float64; see ``plain_files``."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from plain_files import (
    D_IN,
    D_SAE,
    Array,
    Case,
    Held,
    K,
    jump,
    relu,
    sae_shapes,
    told,
    top,
    write_pair,
)


def _gemma(repository: str, sites: tuple[str, str]) -> Case:
    def case(folder: Path) -> SimpleNamespace:
        held = Held(**sae_shapes(threshold=(D_SAE,)))
        held["threshold"] = held["threshold"].abs()
        where = f"{repository}/layer_1/width_16k/average_l0_71"
        (folder / where).mkdir(parents=True)
        np.savez(
            folder / where / "params.npz",
            **{name: each.numpy().astype(">f4") for name, each in held.items()},
        )

        def formula(x: Array) -> tuple[Array, Array]:
            codes = jump(x @ held.W_enc + held.b_enc, held.threshold)
            return codes, codes @ held.W_dec + held.b_dec

        words = "jumprelu sae" if sites[0] == sites[1] else "jumprelu transcoder"
        return told(formula, words, sites[0], writes=sites[1], model="gemma-2-2b", folder=where)

    return case


def _gemma_second(folder: Path) -> SimpleNamespace:
    """Names in lower case, a skip that lies turned, sites as modules in config.json."""
    held = Held(w_enc=(D_IN, D_SAE), w_dec=(D_SAE, D_IN), b_enc=(D_SAE,), b_dec=(D_IN,),
                threshold=(D_SAE,), affine_skip_connection=(D_IN, D_IN))  # fmt: skip
    held["threshold"] = held["threshold"].abs()
    cfg = {"architecture": "jump_relu", "model_name": "gemma-3-270m",
           "hf_hook_point_in": "model.layers.1.pre_feedforward_layernorm.output",
           "hf_hook_point_out": "model.layers.1.post_feedforward_layernorm.output"}  # fmt: skip
    write_pair(folder, "config.json", cfg, "params.safetensors", held)

    def formula(x: Array) -> tuple[Array, Array]:
        codes = jump(x @ held.w_enc + held.b_enc, held.threshold)
        return codes, codes @ held.w_dec + held.b_dec + x @ held.affine_skip_connection

    return told(formula, "jumprelu skip transcoder", "mlp_in.1", writes="mlp_out.1",
                model="gemma-3-270m")  # fmt: skip


def _llama(folder: Path) -> SimpleNamespace:
    """Activations scaled to norm sqrt(d); the threshold is for codes in the model's units."""
    held = Held(**{"encoder.weight": (D_SAE, D_IN), "encoder.bias": (D_SAE,),
                   "decoder.weight": (D_IN, D_SAE), "decoder.bias": (D_IN,)})  # fmt: skip
    held["decoder.weight"] /= held["decoder.weight"].norm(dim=0)
    cfg = {"d_model": D_IN, "d_sae": D_SAE, "act_fn": "jumprelu", "jump_relu_threshold": 0.5,
           "hook_point_in": "blocks.1.hook_resid_post", "norm_activation": "dataset-wise",
           "hook_point_out": "blocks.1.hook_resid_post", "use_decoder_bias": True,
           "apply_decoder_bias_to_pre_encoder": False, "sparsity_include_decoder_norm": True,
           "dataset_average_activation_norm": {"in": 5.0, "out": 5.0},
           "model_name": "gpt2"}  # fmt: skip
    write_pair(folder, "hyperparams.json", cfg, "checkpoints/final.safetensors", held)
    w = {name: each.double().numpy() for name, each in held.items()}
    factor = np.sqrt(D_IN) / 5.0

    def formula(x: Array) -> tuple[Array, Array]:
        inside = x * factor @ w["encoder.weight"].T + w["encoder.bias"]
        codes = jump(inside / factor, 0.5)
        out = (codes * factor) @ w["decoder.weight"].T + w["decoder.bias"]
        return codes, out / factor

    return told(formula, "jumprelu sae")


def _llama_topk(folder: Path) -> SimpleNamespace:
    """A transcoder that keeps the k largest by what they write; both sides have norms of their own.

    Codes are in units of what is written, by rows of norm 1.
    """
    held = Held(**{"encoder.weight": (D_SAE, D_IN), "encoder.bias": (D_SAE,),
                   "decoder.weight": (D_IN, D_SAE), "decoder.bias": (D_IN,)})  # fmt: skip
    cfg = {"d_model": D_IN, "d_sae": D_SAE, "act_fn": "topk", "top_k": K,
           "hook_point_in": "blocks.1.ln2.hook_normalized", "use_decoder_bias": True,
           "hook_point_out": "blocks.1.hook_mlp_out", "norm_activation": "dataset-wise",
           "sparsity_include_decoder_norm": True,
           "dataset_average_activation_norm": {"in": 5.0, "out": 3.0}}  # fmt: skip
    where = folder / "Llama3_1-8B-Base-L1TC-8x"
    write_pair(where, "hyperparams.json", cfg, "checkpoints/final.safetensors", held)
    w = {name: each.double().numpy() for name, each in held.items()}
    read, write = np.sqrt(D_IN) / 5.0, np.sqrt(D_IN) / 3.0
    norms = np.linalg.norm(w["decoder.weight"], axis=0)

    def formula(x: Array) -> tuple[Array, Array]:
        inside = x * read @ w["encoder.weight"].T + w["encoder.bias"]
        own = top(inside * norms) / norms
        out = (own @ w["decoder.weight"].T + w["decoder.bias"]) / write
        return own * norms / write, out

    return told(formula, "topk transcoder", "norm2.1", writes="mlp_out.1",
                model="meta-llama/Llama-3.1-8B", folder=where.name)  # fmt: skip


_LINEAR = {"encoder.weight": (D_SAE, D_IN), "encoder.bias": (D_SAE,),
           "decoder.weight": (D_IN, D_SAE)}  # fmt: skip


def write_learned(folder: Path, name: str, held: dict, **trainer: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    trainer = {"dict_class": name, "activation_dim": D_IN, "dict_size": D_SAE, "layer": 1, "k": K,
               "lm_name": "gpt2", "submodule_name": "resid_post_layer_1"} | trainer  # fmt: skip
    cfg = {"trainer": trainer, "buffer": {"ctx_len": 128}}
    (folder / "config.json").write_text(json.dumps(cfg))
    state = torch.nn.Module().state_dict()  # as a module's, with its own remarks
    state.update(held)
    torch.save(state, folder / "ae.pt")


def _learned(name: str, threshold: float | None = None) -> Case:
    """A class of dictionary_learning: which bias is subtracted, and where its codes are cut."""

    def case(folder: Path) -> SimpleNamespace:
        plain = name in {"JumpReluAutoEncoder", "MatryoshkaBatchTopKSAE"}
        bias = {"AutoEncoder": "bias", "AutoEncoderNew": "decoder.bias"}.get(name, "b_dec")
        held = Held(**(sae_shapes() if plain else _LINEAR | {bias: (D_IN,)}))
        more: dict[str, torch.Tensor] = {}
        if "TopK" in name:
            more = {"k": torch.tensor(K, dtype=torch.int), "threshold": torch.tensor(threshold)}
        if name == "JumpReluAutoEncoder":
            more = {"threshold": torch.full((D_SAE,), 0.3)}
        write_learned(folder, name, {**held, **more})
        w = {key: each.double().numpy() for key, each in held.items()}
        encoder = w["W_enc"] if plain else w["encoder.weight"].T
        decoder = w["W_dec"] if plain else w["decoder.weight"].T
        b_enc = w["b_enc"] if plain else w["encoder.bias"]
        centred = name not in {"AutoEncoderNew", "JumpReluAutoEncoder"}

        def formula(x: Array) -> tuple[Array, Array]:
            pre = (x - w[bias] * centred) @ encoder + b_enc
            if name == "AutoEncoderTopK" or threshold == -1:
                codes = top(pre)
            elif name.startswith("AutoEncoder"):
                codes = relu(pre)
            else:
                codes = jump(pre, 0.3)
            return codes, codes @ decoder + w[bias]

        rule = "topk" if "TopK" in name else "relu" if "Auto" in name[:4] else "jumprelu"
        rule = "jumprelu" if threshold == 0.3 or (plain and threshold is None) else rule
        return told(formula, f"{rule} sae")

    return case


def _learned_gated(folder: Path) -> SimpleNamespace:
    held = Held(**{"encoder.weight": (D_SAE, D_IN), "decoder.weight": (D_IN, D_SAE),
                   "decoder_bias": (D_IN,), "r_mag": (D_SAE,), "gate_bias": (D_SAE,),
                   "mag_bias": (D_SAE,)})  # fmt: skip
    write_learned(folder, "GatedAutoEncoder", held, submodule_name="mlp_out_layer_1")
    w = {key: each.double().numpy() for key, each in held.items()}

    def formula(x: Array) -> tuple[Array, Array]:
        read = (x - held.decoder_bias) @ w["encoder.weight"].T
        codes = relu(np.exp(held.r_mag) * read + held.mag_bias) * (read + held.gate_bias > 0)
        return codes, codes @ w["decoder.weight"].T + held.decoder_bias

    return told(formula, "gated sae", "mlp_out.1")


def _sparsify(folder: Path) -> SimpleNamespace:
    held = Held(**{"encoder.weight": (D_SAE, D_IN), "encoder.bias": (D_SAE,),
                   "W_dec": (D_SAE, D_IN), "b_dec": (D_IN,)})  # fmt: skip
    where = folder / "layers.1"
    cfg = {"d_in": D_IN, "num_latents": D_SAE, "k": K, "activation": "topk", "transcode": False}
    write_pair(where, "cfg.json", cfg, "sae.safetensors", held)
    encoder = held["encoder.weight"].double().numpy()

    def formula(x: Array) -> tuple[Array, Array]:
        codes = top((x - held.b_dec) @ encoder.T + held["encoder.bias"].double().numpy())
        return codes, codes @ held.W_dec + held.b_dec

    return told(formula, "topk sae", model="", folder="layers.1")


def _sparsify_old(folder: Path) -> SimpleNamespace:
    """A transcoder with a skip under older names, where both matrices lie turned."""
    held = Held(**{"W_enc": (D_IN, D_SAE), "b_enc": (D_SAE,), "decoder.weight": (D_IN, D_SAE),
                   "b_dec": (D_IN,), "W_skip": (D_IN, D_IN)})  # fmt: skip
    cfg = {"d_in": D_IN, "num_latents": D_SAE, "k": K, "transcode": True, "skip_connection": True}
    write_pair(folder / "layers.1.mlp", "cfg.json", cfg, "sae.safetensors", held)
    decoder = held["decoder.weight"].double().numpy()

    def formula(x: Array) -> tuple[Array, Array]:
        codes = top(x @ held.W_enc + held.b_enc)
        return codes, codes @ decoder.T + held.b_dec + x @ held.W_skip.T

    return told(formula, "topk skip transcoder", "mlp_in.1", writes="mlp_out.1", model="",
                folder="layers.1.mlp")  # fmt: skip


OTHERS: dict[str, Case] = {
    "gemma residual": _gemma("gemma-scope-2b-pt-res", ("resid_post.1", "resid_post.1")),
    "gemma attention": _gemma("gemma-scope-2b-pt-att", ("z.1", "z.1")),
    "gemma transcoder": _gemma("gemma-scope-2b-pt-transcoders", ("norm2.1", "mlp_out.1")),
    "gemma 2": _gemma_second,
    "llama": _llama,
    "llama topk transcoder": _llama_topk,
    "learned": _learned("AutoEncoder"),
    "learned new": _learned("AutoEncoderNew"),
    "learned gated": _learned_gated,
    "learned jump": _learned("JumpReluAutoEncoder"),
    "learned topk": _learned("AutoEncoderTopK", 0.2),
    "learned batch": _learned("BatchTopKSAE", 0.3),
    "learned batch, no threshold": _learned("BatchTopKSAE", -1),
    "learned matryoshka": _learned("MatryoshkaBatchTopKSAE", 0.3),
    "sparsify": _sparsify,
    "sparsify old names": _sparsify_old,
}
