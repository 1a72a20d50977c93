"""A loaded model: weights, tokenizer, and what Microtome needs to know of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from microtome.errors import ModelError, UnknownArchitecture
from microtome.models import inline
from microtome.models.anatomy import Anatomy, Experts
from microtome.models.family import Family, part
from microtome.models.labels import Labels
from microtome.models.outline import Outline
from microtome.models.ports import Port, ports_of
from microtome.models.resolve import resolve
from microtome.models.tokens import Lexicon, Tokens
from microtome.models.vision.patches import PatchLexicon
from microtome.models.vision.sight import Sight
from microtome.prompts import Prompt
from microtome.records.memory import MemoryNeed
from microtome.records.model import ModelIdentity
from microtome.sites import SITES


def heads_unknown(title: str, purpose: str = "What is computed from single weights") -> ModelError:
    """The error for a decoder of no known family, asked for what only known families give."""
    return UnknownArchitecture(
        f"{purpose} needs every weight's place, and Microtome does not know where {title} keeps "
        "its heads, norms and MLPs.",
        f"Of {title} runs, patches and, where they were found, lenses and attention patterns can "
        "be had; coverage(model) lists them.",
    )


class Model:
    """A model ready to be run, read and edited.

    ``module`` is the transformers model, or holds it, in evaluation mode and with frozen weights.
    One thread uses a model at a time.
    """

    def __init__(
        self,
        module: nn.Module,
        family: Family | Outline,
        identity: ModelIdentity,
        tokenizer: Any,
        memory: MemoryNeed | None = None,
        seeing: tuple[Sight, PatchLexicon] | None = None,
    ) -> None:
        self.module = module
        self.family: Family | Outline = family.of(getattr(module, "config", None))
        self._identity = identity
        self.tokenizer = tokenizer
        self.memory = memory  # what was estimated before the weights were read
        # How a model that sees is run on pixels; None for one that reads text.
        self.sight: Sight | None = None if seeing is None else seeing[0]
        self.lexicon: Lexicon = seeing[1] if seeing else self._lexicon()
        if seeing is not None:
            seeing[1].on_growth = self._more_patches

    def _more_patches(self) -> None:
        """Patches were shown that were not known before: the embedding has more rows."""
        held: Anatomy | None = self.__dict__.get("anatomy")
        if held is not None and isinstance(self.family, Family):
            table = part(self.module, self.family.embedding, self.family.title).weight
            self.__dict__["anatomy"] = replace(held, embedding=table.detach())

    def _lexicon(self) -> Lexicon:
        identity = self.identity
        return Lexicon(self.tokenizer, identity.reads, identity.context, identity.name, self._start)

    @property
    def identity(self) -> ModelIdentity:
        """What a session remembers of it, with the threads that torch computes on now."""
        threads = torch.get_num_threads()
        if self._identity.threads != threads:
            self._identity = replace(self._identity, threads=threads)
        return self._identity

    @property
    def config(self) -> Any:
        """The transformers configuration; None for the module of an adapter."""
        return getattr(self.module, "config", None)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.module.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return next(self.module.parameters()).dtype

    @cached_property
    def anatomy(self) -> Anatomy:
        """Where every weight lives; views of the module's parameters.

        Raises UnknownArchitecture for a decoder of no known family.
        """
        if isinstance(self.family, Outline):
            raise heads_unknown(self.family.title)
        return resolve(self.module, self.family, self.config)

    @property
    def unembedding(self) -> nn.Module:
        """The module that gives the logits, before what may be done to them.

        Raises UnknownArchitecture for a decoder of no known family.
        """
        row = self.family
        if isinstance(row, Outline):
            raise heads_unknown(row.title)
        found: nn.Module = part(self.module, row.unembedding, row.title)
        return found

    @property
    def known(self) -> bool:
        """Whether it is of a known family, so that every weight's place is known."""
        return isinstance(self.family, Family)

    @property
    def has_encoder(self) -> bool:
        """Whether an encoder reads the prompt, and a decoder that looks at it goes on."""
        return isinstance(self.family, Family) and self.family.encoder is not None

    @property
    def whole(self) -> bool:
        """Whether the anatomy holds all that the logits are made of."""
        return self.known and not self.has_encoder and not self.anatomy.leaves_out

    @property
    def _start(self) -> int | None:
        """What a decoder beside an encoder starts with."""
        if not self.has_encoder:
            return None
        named = getattr(self.config, "decoder_start_token_id", None)
        return int(self.config.pad_token_id if named is None else named)

    @property
    def n_experts(self) -> int:
        """Experts of a layer, 0 where an MLP is whole or unknown."""
        if not self.known:
            return 0
        mlp = self.anatomy.blocks[0].mlp
        return int(mlp.router.weight.shape[0]) if isinstance(mlp, Experts) else 0

    @property
    def in_place(self) -> bool:
        """Whether the logits at a position are about the token there, not about the next one."""
        return self.known and not self.anatomy.causal

    @property
    def ends(self) -> tuple[int, ...]:
        """The tokens that end a text; none where the model has no such token."""
        for held in (getattr(self.module, "generation_config", None), self.config, self.tokenizer):
            named = getattr(held, "eos_token_id", None)
            if named is not None:
                return tuple(named) if isinstance(named, list | tuple) else (int(named),)
        return ()

    def read_at(self, ids: Int[np.ndarray, " position"]) -> int:
        """Where an answer to a prompt is read: -1, the last position, or the first masked one.

        Of an image it is read at the class token, which comes first.
        """
        if self.sight is not None and self.known:
            return 0
        mask = self.lexicon.mask_token if self.in_place else None
        found = [] if mask is None else np.flatnonzero(ids == mask).tolist()
        return found[0] if found else -1

    def read_name(self, position: int) -> str:
        """What the position that ``read_at`` gives is, in words."""
        if self.sight is not None:
            return "the class token"
        return "the last token" if position < 0 else "the first masked token"

    @cached_property
    def ports(self) -> dict[str, Port]:
        """Where each site is tapped, for every site that the model has, in their usual order."""
        row = self.family
        found = row.ports if isinstance(row, Outline) else ports_of(row, self.config)
        return {name: found[name] for name in SITES if name in found}

    def tokenize(self, prompt: Prompt | Sequence[int]) -> Tokens:
        """The tokens of a text or of ids; see ``Lexicon.tokenize`` for what it refuses."""
        return self.lexicon.tokenize(prompt)

    @cached_property
    def labels(self) -> Labels | None:
        """The classes that are this model's answers; None where its answers are words."""
        if not self.family.labelled:
            return None
        if self.sight is not None:
            return Labels(self.sight.classes, self.identity.name)
        named: dict[int, str] = self.config.id2label
        return Labels(tuple(named[number] for number in sorted(named)), self.identity.name)

    def run(self, tokens: Tokens) -> Float[Tensor, "position vocabulary"]:
        """The logits of one prompt, without gradient."""
        source = None if tokens.source is None else torch.from_numpy(tokens.source.ids)[None]
        return self.forward(torch.from_numpy(tokens.ids)[None], source)[0]

    def token_text(self, token: int) -> str:
        """How an answer reads: a token, or the name of a class."""
        return self.lexicon.token_text(token) if self.labels is None else self.labels.text(token)

    def answer_token(self, answer: str | int) -> int:
        """The id of an answer that is one token, or one class; AnswerError otherwise."""
        if self.labels is not None:
            return self.labels.number(answer)
        return self.lexicon.answer_token(answer)

    def vocabulary_words(self) -> tuple[str, ...]:
        """Answers for completion: words that are one token, or classes."""
        return self.lexicon.vocabulary_words() if self.labels is None else self.labels.names

    def forward(
        self,
        ids: Int[Tensor, "batch position"],
        source: Int[Tensor, "batch source"] | None = None,
        **options: Any,
    ) -> Float[Tensor, "batch read vocabulary"]:
        """The logits, without gradient; ``options`` go to transformers (``attention_mask`` …).

        They are of all positions, unless ``logits_to_keep`` among the options says of which.

        ``position_ids`` count from 0, whatever the model's own table of positions does. With an
        encoder ``ids`` are the decoder's and ``source`` the encoder's, which is what
        ``attention_mask`` is about then.
        """
        if self.sight is not None and not self.known:
            return self._seen(self.sight, ids)
        if self.family.row_positions:
            places = torch.arange(ids.shape[1], device=self.device)[None]
            shifted = options.get("position_ids", places)
            options["position_ids"] = shifted + self.family.position_offset
        given = {"input_ids": ids.to(self.device).long()}
        if source is not None:
            given = {
                "input_ids": source.to(self.device).long(),
                "decoder_input_ids": given["input_ids"],
            }
        with torch.inference_mode():
            output = self.module(**given, use_cache=False, **options)
        logits: Tensor = output.logits
        return logits

    def _seen(
        self, sight: Sight, ids: Int[Tensor, "batch position"]
    ) -> Float[Tensor, "batch read vocabulary"]:
        """The logits of images, each the token of a model that reads them whole."""
        lexicon = self.lexicon
        assert isinstance(lexicon, PatchLexicon)  # noqa: S101
        made = [torch.from_numpy(lexicon.image_of(row)) for row in ids.tolist()]
        with torch.inference_mode():
            return sight.logits(torch.stack(made).to(self.device, self.dtype))[:, None]

    @contextmanager
    def attending(self, implementation: str) -> Iterator[None]:
        """Run with another attention implementation of transformers, ``eager`` or ``sdpa``.

        Modules that compute attention themselves can only do so, as ``eager``.
        """
        if isinstance(self.family, Family) and self.family.inline is not None:
            with inline.given_back(self.module, self.family):
                yield
            return
        config: Any = self.config
        before = config._attn_implementation  # noqa: SLF001
        self.module.set_attn_implementation(implementation)  # type: ignore[operator]
        try:
            yield
        finally:
            self.module.set_attn_implementation(before)  # type: ignore[operator]
