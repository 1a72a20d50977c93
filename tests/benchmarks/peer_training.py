"""SAELens at work, in a process and an environment of its own; see ``bench_training``.

Started as ``PYTHON peer_training.py SIZES`` by the interpreter of that environment: nothing of
Microtome is imported here and nothing of SAELens there. Each line read is a number of steps of
SAELens' own trainer; each line written holds the processor seconds of this process for them.
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
os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "WANDB_MODE": "disabled"}

import numpy as np  # noqa: E402
import torch  # noqa: E402
from sae_lens.config import LoggingConfig, SAETrainerConfig  # noqa: E402
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig  # noqa: E402
from sae_lens.training.sae_trainer import SAETrainer  # noqa: E402


def trainer(sizes):
    """SAELens' trainer of a TopK autoencoder, with its usual settings."""
    torch.manual_seed(0)
    sae = TopKTrainingSAE(
        TopKTrainingSAEConfig(d_in=sizes["d_in"], d_sae=sizes["d_sae"], k=sizes["k"])
    )
    config = SAETrainerConfig(
        total_training_samples=10_000 * sizes["batch"],
        train_batch_size_samples=sizes["batch"],
        lr=1e-3,
        lr_end=1e-4,  # not set by itself here, though the trainer needs it
        logger=LoggingConfig(log_to_wandb=False),
    )
    return SAETrainer(config, sae, iter(()))


def main():
    torch.set_num_threads(1)
    sizes = json.loads(sys.argv[1])
    shape = (sizes["rows"], sizes["d_in"])
    rows = torch.from_numpy(np.random.default_rng(0).standard_normal(shape, np.float32))
    held = trainer(sizes)
    print(json.dumps({"version": version("sae-lens")}), file=ANSWERS)
    for line in sys.stdin:
        begun = time.process_time()
        for _ in range(int(line)):
            chosen = torch.randint(len(rows), (sizes["batch"],))
            held._train_step(held.sae, rows[chosen])
            held.n_training_steps += 1
        print(json.dumps(time.process_time() - begun), file=ANSWERS)


main()
