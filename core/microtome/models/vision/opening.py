"""Opening the files of a model that sees; the same checks as for one that reads text."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from microtome.errors import MemoryExceeded, ModelDamaged, ModelError, megabytes
from microtome.images.model_settings import read_preprocessing
from microtome.jobs import Job
from microtome.models import attention
from microtome.models.identity import identity_of
from microtome.models.load_errors import LOAD_ERRORS, first_line, load_error, quieten
from microtome.models.memory import memory_need, refuse_too_large
from microtome.models.model import Model
from microtome.models.places import Place
from microtome.models.vision.loading import model_class, part_of, seeing
from microtome.models.vision.rows import VISION
from microtome.models.weights import WeightFile, element_count, find_weights, fingerprint_of_files
from microtome.records.memory import free_memory
from microtome.records.seen import PREPROCESSING


def open_seeing(
    place: Place,
    settings: dict[str, Any],
    device: torch.device,
    dtype: torch.dtype,
    job: Job,
) -> Model:
    """The model of a folder whose config names a family that sees.

    Raises ModelDamaged, UnsafeModel or MemoryExceeded, each with the way out.
    """
    row = VISION[settings["model_type"]]
    weights = find_weights(place.folder, place.weights)
    free = free_memory() if device.type == "cpu" else None
    need = memory_need(element_count(weights), dtype, free)
    refuse_too_large(need, place.name, dtype)
    job.progress(f"Loading {megabytes(need.weights)} of weights", 1, 3)
    config = _config(place.name, model_class(row, settings), part_of(row, settings), weights)
    ours = attention.NAME if row.family is not None else None
    module = _module(place, model_class(row, settings), config, dtype, ours).to(device)
    job.progress("Recognising the model", 2, 3)
    made = seeing(module, row, read_preprocessing(place.folder), place.name)
    told = {**settings, PREPROCESSING: list(made.sight.preprocessing.lines())}
    identity = identity_of(
        place.name, module, made.shape, told, architecture=row.model_type,
        fingerprint=fingerprint_of_files(weights, job), inputs=made.shape.inputs, sees=True,
    )  # fmt: skip
    job.progress("Recognising the model", 3, 3)
    return Model(made.module, made.family, identity, None, need, (made.sight, made.lexicon))


def _config(
    name: str, made_by: Any, settings: dict[str, Any], weights: tuple[WeightFile, ...]
) -> Any:
    """The configuration, once a model of its size is known to fit the weight files."""
    try:
        config = made_by.config_class.from_dict(settings)
        bare = _without_weights(made_by, config)
        count = _classes_held(bare, config, weights)
        if count != config.num_labels:
            config.num_labels = count  # no names are known for so many
            bare = _without_weights(made_by, config)
        expected = sum(weight.numel() for weight in bare.parameters())
    except ModelError:
        raise
    except (*LOAD_ERRORS, ZeroDivisionError, OverflowError) as error:
        raise ModelDamaged(
            f"config.json of {name} describes no possible model: {first_line(error)}",
            "Download the model again.",
        ) from error
    if expected > element_count(weights):
        raise ModelDamaged(
            f"config.json of {name} announces {expected:,} parameters, but the weight files hold "
            f"{element_count(weights):,}.",
            "They do not belong together, or the download is not complete.",
        )
    return config


def _without_weights(made_by: Any, config: Any) -> nn.Module:
    with torch.device("meta"):
        made: nn.Module = made_by(config)
    return made


def _classes_held(bare: nn.Module, config: Any, weights: tuple[WeightFile, ...]) -> int:
    """How many classes the weight files hold, which a config without their names does not say."""
    expected: int = config.num_labels
    held = {entry.name: entry.shape for file in weights for entry in file.entries}
    counts = {
        shape[0]
        for name, value in bare.state_dict().items()
        if (shape := held.get(name)) and tuple(value.shape) == (expected, *shape[1:])
    }
    counts.discard(expected)
    return counts.pop() if len(counts) == 1 else expected


def _module(
    place: Place, made_by: Any, config: Any, dtype: torch.dtype, implementation: str | None
) -> nn.Module:
    quieten()
    try:
        module, report = made_by.from_pretrained(
            place.folder,
            config=config,
            dtype=dtype,
            attn_implementation=implementation,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (*LOAD_ERRORS, MemoryError) as error:
        found: ModelError | MemoryExceeded = load_error(place.name, error)
        raise found from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelDamaged(
            f"The weights of {place.name} lack {len(missing)} tensors, such as {missing[0]}.",
            "They may belong to another model than config.json.",
        )
    frozen: nn.Module = module.eval().requires_grad_(requires_grad=False)
    return frozen
