"""TransformerLens' edge attribution, in a process and an environment of its own.

Started as ``PYTHON peer_edges.py FOLDER`` like ``peer_sweeps.py``, whose bridge it uses. Each line
read is a pair; each line written holds the score of every edge at every position, as its own
``attribution_patch`` gives them, and the processor seconds of that call.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import torch
from peer_sweeps import ANSWERS, bridge
from transformer_lens.tools.analysis import attribution_patching as patching

SIDES = {"q_input": "<q>", "k_input": "<k>", "v_input": "<v>"}


def name(node):
    """A node's name in files of circuits."""
    if node.kind in ("embed", "logits"):
        return "input" if node.kind == "embed" else "logits"
    if node.kind in ("mlp_out", "mlp_in"):
        return f"m{node.layer}"
    return f"a{node.layer}.h{node.head}{SIDES.get(node.kind, '')}"


def edges(model, asked):
    """Scores by edge and position, and the processor seconds."""
    clean, corrupt = (torch.tensor([asked[side]]) for side in ("clean", "corrupt"))

    def metric(logits):
        return logits[0, -1, asked["answer"]] - logits[0, -1, asked["wrong"]]

    config = patching.EdgeAttributionConfig(granularity="edge")
    start = time.process_time()
    found = patching.attribution_patch(model, clean, corrupt, metric, config)
    seconds = time.process_time() - start
    scores = [
        (f"{name(writer)}->{name(reader)}", writer.position, float(score))
        for (writer, reader), score in found.edge_scores.items()
    ]
    return {"scores": scores if asked["scores"] else [], "seconds": seconds}


def main():
    torch.set_num_threads(1)
    model = bridge(sys.argv[1]).requires_grad_(requires_grad=True)  # as users load one
    names = ("transformer-lens", "torch", "transformers")
    print(json.dumps({name: version(name) for name in names}), file=ANSWERS)
    for line in sys.stdin:
        print(json.dumps(edges(model, json.loads(line))), file=ANSWERS)


if __name__ == "__main__":
    main()
