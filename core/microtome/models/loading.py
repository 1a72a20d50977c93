"""Opening a model: an embedded one, a local folder, or a hub id.

Files are examined before transformers sees them, transformers never runs code of a model, and
whatever goes wrong becomes one readable error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file
from torch import nn

from microtome.errors import ModelDamaged, ModelError, megabytes
from microtome.jobs import Job, job_or_default
from microtome.models import attention, inline
from microtome.models.devices import device_of, dtype_of
from microtome.models.discovery import discover, layer_lists, takes_attention
from microtome.models.families import row_of
from microtome.models.family import Family
from microtome.models.identity import identity_of
from microtome.models.load_errors import LOAD_ERRORS, first_line, load_error, quieten
from microtome.models.memory import memory_need, refuse_too_large
from microtome.models.model import Model
from microtome.models.outline import Outline
from microtome.models.places import Place, find_place, look_at
from microtome.models.quantised import Quantised, quantised
from microtome.models.resolve import Shape, resolve
from microtome.models.settings import read_settings
from microtome.models.t5_rows import n_encoder_layers
from microtome.models.tokenizer import load_tokenizer, tokenizer_fingerprint
from microtome.models.vision.opening import open_seeing
from microtome.models.vision.rows import VISION
from microtome.models.weights import WeightFile, element_count, find_weights, fingerprint_of_files
from microtome.records.memory import MemoryNeed, free_memory
from microtome.records.model import AS_THEY_ARE, ModelIdentity


def load_model(
    name: str | Path,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    allow_download: bool = False,
    job: Job | None = None,
) -> Model:
    """The model of an embedded name, a local folder or a hub id, ready to run.

    ``words-4l@1500`` is a checkpoint of an embedded model. A hub id is looked up in the local
    cache; only ``allow_download`` lets it come over the network: the job is handed what will be
    fetched (partial result ``download``) and then the bytes as they come, and what has come is
    kept when it is stopped.
    Raises ModelNotFound, ModelDamaged, UnsafeModel, UnknownArchitecture, Offline or
    MemoryExceeded, each with the way out.
    """
    job = job_or_default(job)
    where, number = device_of(device), dtype_of(dtype)
    place = find_place(name, allow_download=allow_download, job=job)
    job.progress("Checking the model's files", 0, 3)
    look_at(place, job)
    settings = read_settings(place.folder)
    if settings["model_type"] in VISION:
        return open_seeing(place, settings, where, number, job)
    files = _Files.examine(place, settings)
    need = files.need(number, where)
    job.progress(_announced(need), 1, 3)
    module = files.load(number, where)
    tokenizer = load_tokenizer(place.folder)
    job.progress("Recognising the model", 2, 3)
    files = files.recognise(module)
    identity = files.identify(module, tokenizer, job)
    job.progress("Recognising the model", 3, 3)
    return Model(module, files.family, identity, tokenizer, need)


@dataclass(frozen=True, slots=True)
class _Files:
    """The checked files of a model and what they say it is."""

    place: Place
    settings: dict[str, Any]
    family: Family | Outline
    weights: tuple[WeightFile, ...]
    quantised: Quantised | None = None

    @classmethod
    def examine(cls, place: Place, settings: dict[str, Any]) -> _Files:
        family = row_of(settings["model_type"], place.name)
        stored = quantised(settings, place.name)
        return cls(place, settings, family, find_weights(place.folder, place.weights), stored)

    def need(self, dtype: torch.dtype, device: torch.device) -> MemoryNeed:
        """What the weights will take, from their headers.

        Raises MemoryExceeded when that is more than this machine has free.
        """
        most = 1 if self.quantised is None else self.quantised.most
        free = free_memory() if device.type == "cpu" else None
        need = memory_need(element_count(self.weights), dtype, free)
        if most == 1:  # else the number is known only when they are read
            refuse_too_large(need, self.place.name, dtype)
        return need

    def load(self, dtype: torch.dtype, device: torch.device) -> nn.Module:
        """The transformers model in evaluation mode, weights frozen."""
        config = self._config(getattr(transformers, self.family.class_name).config_class)
        model_class = self._class(config)
        quieten()
        try:
            module, report = self._from_pretrained(model_class, config, dtype)
            module = module.to(device)
        except ModelError:
            raise
        except (*LOAD_ERRORS, MemoryError) as error:
            raise load_error(self.place.name, error) from error
        if report["missing_keys"]:
            missing = sorted(report["missing_keys"])
            raise ModelDamaged(
                f"The weights of {self.place.name} lack {len(missing)} tensors, such as "
                f"{missing[0]}.",
                "They may belong to another model than config.json.",
            )
        if isinstance(self.family, Family):
            inline.take_over(module, self.family)
        frozen: nn.Module = module.eval().requires_grad_(requires_grad=False)
        return frozen

    def recognise(self, module: nn.Module) -> _Files:
        """With what running it shows of a decoder of no known family."""
        if isinstance(self.family, Family):
            return self
        return replace(self, family=discover(module, self.family))

    def _class(self, config: Any) -> Any:
        """The class of the model: a row may choose it by what the config says."""
        return getattr(transformers, self.family.of(config).class_name)

    def _config(self, config_class: Any) -> Any:
        """The configuration object, once a model of its size is known to fit the weight files."""
        most = 1 if self.quantised is None else self.quantised.most
        stored = most * element_count(self.weights)
        tensors = sum(len(file.entries) for file in self.weights)
        try:
            # Numbers that JSON cannot hold, such as infinity, are written as objects.
            plain = config_class._decode_special_floats(self.settings)  # noqa: SLF001
            plain.pop("quantization_config", None)  # multiplied out, not run as they are
            config = config_class.from_dict(plain)
            model_class = self._class(config)  # refuses what the row cannot serve
            layers = config.get_text_config(decoder=True).num_hidden_layers
            if layers > tensors:
                raise self._mismatch(f"{layers} layers", f"{tensors} tensors")
            with torch.device("meta"):
                bare = model_class(config)
            expected = sum(weight.numel() for weight in bare.parameters())
            if isinstance(self.family, Outline):
                layer_lists(bare, self.family.title)  # refuses a model without layers
        except ModelError:
            raise
        except (*LOAD_ERRORS, ZeroDivisionError, OverflowError) as error:
            raise ModelDamaged(
                f"config.json of {self.place.name} describes no possible model: "
                f"{first_line(error)}",
                "Download the model again.",
            ) from error
        if expected > stored:
            raise self._mismatch(f"{expected:,} parameters", f"{stored:,}")
        return config

    def _mismatch(self, announced: str, held: str) -> ModelDamaged:
        return ModelDamaged(
            f"config.json of {self.place.name} announces {announced}, but the weight files hold "
            f"{held}.",
            "They do not belong together, or the download is not complete.",
        )

    def _from_pretrained(self, model_class: Any, config: Any, dtype: torch.dtype) -> Any:
        own_file = self.place.weights is not None
        source = None if own_file or self.quantised else self.place.folder
        extra: dict[str, Any] = {}
        if self.quantised is not None:
            extra["state_dict"] = self.quantised.state(self.weights, dtype)
        elif own_file:
            extra["state_dict"] = load_file(self.weights[0].path)
        if self.family.experts is not None:
            extra["experts_implementation"] = "eager"  # the only one for every type of weights
        return model_class.from_pretrained(
            source,
            config=config,
            dtype=dtype,
            attn_implementation=self._attention(model_class, config),
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **extra,
        )

    def _used(self, dtype: torch.dtype) -> str:
        """How the weights are used, in words."""
        if self.quantised is None:
            return AS_THEY_ARE
        return f"dequantised to {str(dtype).removeprefix('torch.')} from {self.quantised.method}"

    def _attention(self, model_class: Any, config: Any) -> str | None:
        """Ours; for a decoder of no known family its own where ours is refused."""
        if isinstance(self.family, Family):
            return "eager" if self.family.inline else attention.NAME
        return takes_attention(model_class, config)

    def identify(self, module: nn.Module, tokenizer: Any, job: Job) -> ModelIdentity:
        """What a session remembers of the model."""
        config: Any = module.config
        row = self.family
        if isinstance(row, Outline):
            shape = row.shape(module)
        else:
            shape = Shape.of(resolve(module, row, config), config, row.context_key)
        return identity_of(
            self.place.name,
            module,
            shape,
            self.settings,
            architecture=row.model_type,
            fingerprint=fingerprint_of_files(self.weights, job),
            weights=self._used(next(module.parameters()).dtype),
            tokenizer_fingerprint=tokenizer_fingerprint(self.place.folder) if tokenizer else "",
            n_encoder_layers=n_encoder_layers(module, row),
            inputs=shape.inputs if self.family.of(config).labelled else None,
        )


def _announced(need: MemoryNeed) -> str:
    free = "" if need.free is None else f", {megabytes(need.free)} are free"
    return f"Loading {megabytes(need.weights)} of weights{free}"
