"""Which model made a result."""

from __future__ import annotations

from dataclasses import dataclass, field

AS_THEY_ARE = "as they are"


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model as a session remembers it: what it is, how it was loaded, and how to recognise it.

    ``fingerprint`` is a SHA-256 over names, shapes, types and bytes of all tensors.
    """

    name: str  # as it was asked for: embedded name, folder name or hub id
    architecture: str  # the model_type of its config
    fingerprint: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    vocabulary: int  # of the answers
    context: int | None  # longest prompt in tokens; None when the model names no limit
    n_parameters: int
    dtype: str = "float32"
    device: str = "cpu"
    attention: str = "eager"
    weights: str = AS_THEY_ARE  # or what they were made from
    tokenizer_fingerprint: str = ""
    config_json: str = "{}"
    versions: dict[str, str] = field(default_factory=dict)
    inputs: int | None = None  # tokens that can be read, where answers are classes
    sees: bool = False  # it reads images
    n_encoder_layers: int = 0  # of an encoder beside the decoder; ``n_layers`` are the decoder's
    # The most that torch computes on; one and the same model may be asked on any number.
    threads: int | None = field(default=None, compare=False)

    @property
    def reads(self) -> int:
        """How many tokens can be read: ids are below it."""
        return self.vocabulary if self.inputs is None else self.inputs
