"""A sparse dictionary: features that an activation is taken apart into, and put together from.

A sparse autoencoder reads and writes one site; a transcoder reads what an MLP reads and writes
what the MLP writes. Both are the same object, for every published architecture: tensors, a rule
of sparsity (``microtome.features.rules``), and where they belong.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import DictionaryError
from microtome.features.rules import (
    NORMALISATIONS,
    RULES,
    Rule,
    Scaled,
    Settings,
    Weights,
    pre_activations,
)
from microtome.models.fingerprint import StoredTensor, fingerprint
from microtome.records.dictionary import DictionaryIdentity


class Dictionary:
    """Codes of activations and back, without a model.

    ``codes`` are not negative and mostly 0. A mismatch is refused when it meets a model
    (``microtome.features.fitting``). Tensors are what they are given as; compute in float32
    unless they are float64.
    Raises DictionaryError, in naming what is wrong, for tensors that are missing, do not fit one
    another or hold NaN or infinity, and for a rule or a normalisation of another name.
    """

    def __init__(
        self, weights: Weights, settings: Settings, identity: DictionaryIdentity | None = None
    ) -> None:
        _check(weights, settings)
        self.weights = weights
        self.settings = settings
        self._given = identity

    @property
    def d_in(self) -> int:
        """Width of what is read."""
        return int(self.weights.encoder.shape[1])

    @property
    def d_out(self) -> int:
        """Width of what is written."""
        return int(self.weights.w_dec.shape[1])

    @property
    def d_sae(self) -> int:
        """How many features there are."""
        return int(self.weights.w_dec.shape[0])

    @property
    def directions(self) -> Float[Tensor, "feature d_out"]:
        """What each feature writes for an activation of 1."""
        return self.weights.w_dec

    @property
    def architecture(self) -> str:
        """Its rule and what it is: ``topk sae``, ``jumprelu skip transcoder``."""
        return self.identity.architecture

    @property
    def rule(self) -> Rule:
        """The row of its rule of sparsity."""
        return RULES[self.settings.rule]

    @cached_property
    def identity(self) -> DictionaryIdentity:
        """What a session remembers of it; sizes and fingerprint are those of its tensors."""
        given = self._given or DictionaryIdentity("", "", 0, 0, 0)
        tensors = self.weights.tensors()
        skip = "skip " if "w_skip" in tensors else ""
        kind = "transcoder" if given.is_transcoder else "sae"
        return replace(
            given,
            architecture=f"{self.settings.rule} {skip}{kind}",
            d_in=self.d_in,
            d_sae=self.d_sae,
            d_out=self.d_out,
            fingerprint=fingerprint(_stored(name, held) for name, held in tensors.items()),
        )

    def encode(self, x: Float[Tensor, "*n d_in"]) -> Float[Tensor, "*n feature"]:
        """The codes of activations: how strongly each feature is there.

        Raises DictionaryError when they have another width.
        """
        return self._codes(self._read(x)).reshape(*x.shape[:-1], self.d_sae)

    def decode(self, codes: Float[Tensor, "*n feature"]) -> Float[Tensor, "*n d_out"]:
        """What codes write, without a linear skip, in the units of the normalised input.

        Those are the model's own but where ``settings.normalise`` rescales each row.
        """
        return codes @ self.weights.w_dec + self.weights.b_dec

    def reconstruct(self, x: Float[Tensor, "*n d_in"]) -> Float[Tensor, "*n d_out"]:
        """What stands for activations: decoded codes and linear skip, in the model's units."""
        read = self._read(x)
        return self._written(x, read, self._codes(read)).reshape(*x.shape[:-1], self.d_out)

    def both(
        self, x: Float[Tensor, "n d_in"]
    ) -> tuple[Float[Tensor, "n feature"], Float[Tensor, "n d_out"]]:
        """Codes and reconstruction, for the price of one."""
        read = self._read(x)
        codes = self._codes(read)
        return codes, self._written(x, read, codes)

    def pre_activations(self, x: Float[Tensor, "*n d_in"]) -> Float[Tensor, "*n feature"]:
        """What the encoder gives before the rule; a gated dictionary's are the gate's.

        They are linear in activations, but where each row is rescaled first.
        """
        pre = pre_activations(self.weights, self._centred(self._read(x).x))
        if self.weights.b_gate is not None:
            pre = pre + self.weights.b_gate
        return pre.reshape(*x.shape[:-1], self.d_sae)

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> Dictionary:
        """The same dictionary with tensors of another type or place."""
        moved = {name: held.to(device, dtype) for name, held in self.weights.tensors().items()}
        return Dictionary(Weights(**moved), self.settings, self._given)

    def named(self, identity: DictionaryIdentity) -> Dictionary:
        """The same dictionary under another identity."""
        return Dictionary(self.weights, self.settings, identity)

    def _read(self, x: Tensor) -> Scaled:
        if x.shape[-1] != self.d_in:
            raise DictionaryError(
                f"The dictionary reads {self.d_in} numbers, but was given {x.shape[-1]}.",
                "Give it activations of the site that it was trained on.",
            )
        return NORMALISATIONS[self.settings.normalise](x.reshape(-1, self.d_in))

    def _centred(self, x: Tensor) -> Tensor:
        return x - self.weights.b_dec if self.settings.centred else x

    def _codes(self, read: Scaled) -> Tensor:
        return self.rule.codes(self.weights, self.settings, self._centred(read.x))

    def _written(self, x: Tensor, read: Scaled, codes: Tensor) -> Tensor:
        # What a transcoder writes was never rescaled: only an autoencoder goes back.
        transcodes = self._given is not None and self._given.is_transcoder
        output = self.decode(codes)
        output = output if transcodes else read.back(output)
        if self.weights.w_skip is None:
            return output
        # A skip takes activations as they come, also where the encoder rescales them.
        return output + x.reshape(-1, self.d_in) @ self.weights.w_skip.T


def _stored(name: str, held: Tensor) -> StoredTensor:
    flat = held.detach().cpu().contiguous()
    data = flat.flatten().view(torch.uint8).numpy()
    return StoredTensor(name, str(held.dtype).removeprefix("torch."), tuple(held.shape), data)


def _check(weights: Weights, settings: Settings) -> None:
    for name, table in (("rule", RULES), ("normalise", NORMALISATIONS)):
        given = getattr(settings, name)
        if given not in table:
            raise DictionaryError(
                f"There is no {name} named {given!r} for a dictionary.",
                f"Known are {', '.join(table)}.",
            )
    rule, held = RULES[settings.rule], weights.tensors()
    missing = [name for name in rule.needs if name not in held]
    if missing:
        raise DictionaryError(
            f"A {settings.rule} dictionary needs {', '.join(missing)}, which was not given."
        )
    if rule.takes_k and not (settings.k and settings.k > 0):
        raise DictionaryError(f"A {settings.rule} dictionary needs k, but has {settings.k}.")
    for name, tensor in held.items():
        _check_tensor(name, tensor, weights)
    if settings.centred and weights.encoder.shape[1] != weights.w_dec.shape[1]:
        raise DictionaryError("A transcoder of two widths cannot take b_dec from what it reads.")


def _check_tensor(name: str, tensor: Tensor, weights: Weights) -> None:
    d_sae, d_out = weights.w_dec.shape
    d_in = weights.encoder.shape[-1]
    wanted = {
        "w_enc": (d_sae, d_in),
        "w_dec": (d_sae, d_out),
        "b_dec": (d_out,),
        "w_skip": (d_out, d_in),
    }.get(name, (d_sae,))
    if tuple(tensor.shape) != wanted:
        raise DictionaryError(
            f"{name} has shape {list(tensor.shape)}, but {list(wanted)} was expected.",
            "Features are rows.",
        )
    if not torch.isfinite(tensor).all():
        bad = int((~torch.isfinite(tensor)).sum())
        raise DictionaryError(
            f"{name} holds {bad:,} values that are NaN or infinite.",
            "It is of a training that diverged, or damaged: take another file.",
        )
