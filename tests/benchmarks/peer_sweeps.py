"""TransformerLens at work, in a process and an environment of its own; see ``bench_sweeps``.

Started as ``PYTHON peer_sweeps.py FOLDER`` by the interpreter of that environment: nothing of
Microtome is imported here and nothing of TransformerLens there. The bridge is built around the
model of the folder, by TransformerLens' own builder, without a tokenizer. Each line read is one
sweep, or some cells of one, run by the functions of ``transformer_lens.patching``; each line
written holds the metric of every cell and the processor seconds of this process.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version

# Lines for the other side go to standard output, whatever else anybody prints to standard error.
ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}

import pandas as pd  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from transformer_lens import patching  # noqa: E402
from transformer_lens.model_bridge.sources._bridge_builder import (  # noqa: E402
    build_bridge_from_module,
)

# The function of each sweep, the axes in its order, and what it takes of the clean run.
SWEEPS = {
    "resid_pre": (patching.get_act_patch_resid_pre, ("layer", "pos"), "hook_resid_pre"),
    "z": (patching.get_act_patch_attn_head_out_all_pos, ("layer", "head"), "attn.hook_z"),
    "z by position": (
        patching.get_act_patch_attn_head_out_by_pos,
        ("layer", "pos", "head"),
        "attn.hook_z",
    ),
}


def bridge(folder):
    """The model of a folder behind TransformerLens' hooks, weights frozen."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32
    )
    model = model.eval().requires_grad_(requires_grad=False)
    return build_bridge_from_module(
        model, type(model).__name__, hf_config=model.config, device="cpu"
    )


def sweep(model, asked):
    """Metric of each cell asked for, all when none are named, and the processor seconds."""
    function, axes, name = SWEEPS[asked["sweep"]]
    clean, corrupt = (torch.tensor([asked[side]]) for side in ("clean", "corrupt"))

    def metric(logits):
        return logits[0, -1, asked["answer"]] - logits[0, -1, asked["wrong"]]

    some = {}
    if asked["cells"]:
        cells = pd.DataFrame(asked["cells"], columns=axes)
        some = {"index_axis_names": None, "index_df": cells}
    start = time.process_time()
    _, cache = model.run_with_cache(clean, names_filter=lambda hook: hook.endswith(name))
    cached = time.process_time()
    values = function(model, corrupt, cache, metric, **some)
    end = time.process_time()
    return {"values": values.tolist(), "cache": cached - start, "cells": end - cached}


def main():
    torch.set_num_threads(1)
    torch.set_grad_enabled(mode=False)
    model = bridge(sys.argv[1])
    names = ("transformer-lens", "torch", "transformers")
    print(json.dumps({name: version(name) for name in names}), file=ANSWERS)
    for line in sys.stdin:
        print(json.dumps(sweep(model, json.loads(line))), file=ANSWERS)


if __name__ == "__main__":
    main()
