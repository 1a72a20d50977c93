"""circuit-tracer at work, in a process and an environment of its own; see ``bench_attribution``.

Started as ``PYTHON peer_attribution.py FOLDER`` by the interpreter of that environment: nothing of
Microtome is imported here. The folder holds a GPT-2 and, beside it, ``transcoders.safetensors``.
Each line read is one graph at a batch size; each line written holds the processor seconds of this
process, and where the matrix was saved if that was asked for.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

# Lines for the other side go to standard output, whatever else anybody prints to standard error.
ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from circuit_tracer.attribution.attribute import attribute  # noqa: E402
from circuit_tracer.replacement_model.replacement_model_transformerlens import (  # noqa: E402
    TransformerLensReplacementModel,
)
from circuit_tracer.transcoder.activation_functions import TopK  # noqa: E402
from circuit_tracer.transcoder.single_layer_transcoder import (  # noqa: E402
    SingleLayerTranscoder,
    TranscoderSet,
)
from safetensors.torch import load_file  # noqa: E402
from transformer_lens import HookedTransformerConfig  # noqa: E402
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights  # noqa: E402


class Tokenizer:
    """All that a graph asks of one."""

    all_special_ids = (0,)
    bos_token_id = pad_token_id = eos_token_id = 0
    padding_side = "right"
    bos_token = "0"
    vocab_size = 0

    def decode(self, ids: object) -> str:
        return str(ids)


def transcoders(folder, config):
    """The set that lies beside the model."""
    held = load_file(Path(folder) / "transcoders.safetensors")
    made = {}
    for layer in range(config.n_layer):
        width, count = config.n_embd, held[f"{layer}.w_enc"].shape[0]
        one = SingleLayerTranscoder(
            width, count, TopK(int(held["k"])), layer, dtype=torch.float32,
            device=torch.device("cpu"),
        )  # fmt: skip
        named = {"W_enc": "w_enc", "W_dec": "w_dec", "b_enc": "b_enc", "b_dec": "b_dec"}
        one.load_state_dict({to: held[f"{layer}.{name}"] for to, name in named.items()})
        made[layer] = one
    return TranscoderSet(made, "mlp.hook_in", "mlp.hook_out")


def replacement(folder):
    """The model of the folder with its transcoders, weights as they are."""
    module = transformers.AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32
    )
    held = module.config
    config = HookedTransformerConfig(
        n_layers=held.n_layer, d_model=held.n_embd, n_ctx=held.n_positions, n_heads=held.n_head,
        d_head=held.n_embd // held.n_head, d_mlp=4 * held.n_embd, d_vocab=held.vocab_size,
        act_fn="gelu_new", normalization_type="LN", eps=held.layer_norm_epsilon, device="cpu",
        model_name="gpt2",
    )  # fmt: skip
    weights = convert_gpt2_weights(module, config)
    model = TransformerLensReplacementModel.from_config(config, transcoders(folder, held))
    model.tokenizer = Tokenizer()
    names = {
        name.replace(".old_mlp", "").replace(".old_unembed", ""): name
        for name, _ in model.named_parameters()
    }
    given = {names[name]: weight for name, weight in weights.items() if name in names}
    left = [name for name in names if name not in weights and "transcoder" not in name]
    assert left in ([], ["unembed.b_U"]), left
    model.load_state_dict(given, strict=False)
    return model


def graph(model, asked):
    """Processor seconds of one graph, its matrix saved where that is asked for."""
    ids = torch.tensor(asked["ids"])
    start = time.process_time()
    made = attribute(ids, model, batch_size=asked["batch"], verbose=False)
    seconds = time.process_time() - start
    found = {"seconds": seconds, "features": len(made.selected_features)}
    if asked["save"]:
        np.savez(
            asked["save"], matrix=made.adjacency_matrix.numpy(),
            features=made.active_features.numpy(), words=[t.vocab_idx for t in made.logit_targets],
        )  # fmt: skip
    return found


def main():
    torch.set_num_threads(1)
    model = replacement(sys.argv[1])
    names = ("circuit-tracer", "transformer-lens", "torch", "transformers")
    print(json.dumps({name: version(name) for name in names}), file=ANSWERS)
    for line in sys.stdin:
        print(json.dumps(graph(model, json.loads(line))), file=ANSWERS)


if __name__ == "__main__":
    main()
