"""Write a model folder in the plain Hugging Face format."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel


def save_model(model: PreTrainedModel, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors`` (float32), and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    save_weights(model, folder, torch.float32)


def save_weights(model: nn.Module, folder: Path, dtype: torch.dtype) -> None:
    """Write ``model.safetensors``, each shared tensor once."""
    folder.mkdir(parents=True, exist_ok=True)
    tied = getattr(model, "all_tied_weights_keys", {})
    tensors = {
        name: tensor.to(dtype).contiguous()
        for name, tensor in model.state_dict().items()
        if name not in tied
    }
    path = folder / "model.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)  # the library makes it readable by its owner alone
