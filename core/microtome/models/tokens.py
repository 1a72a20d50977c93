"""Between text and token ids: what a model reads, and how its tokens read to people."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int

from microtome.errors import AnswerError, PromptError, TokenizerMissing
from microtome.models.tokenizer import TokenizerEdge
from microtome.prompts import SEPARATOR, SEPARATOR_ID, ImageInput, Prompt, as_prompt, both_sides

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_METASPACE = "\N{LOWER ONE EIGHTH BLOCK}"
_NO_TOKENIZER = "The model {name} has no tokenizer, so text cannot be read."
_BROKE_DOWN = "The model's tokenizer broke down on this text"
_GIVE_IDS = "Give token ids instead, for example 12 7 305."


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """A prompt as the model reads it.

    ``texts`` are the readable tokens; ``unknown`` are positions whose text the tokenizer does
    not know, where ``texts`` holds what was written there. ``source`` is what an encoder reads;
    the rest is then the decoder's. ``image`` is what a model that sees reads.
    """

    ids: Int[np.ndarray, " position"]
    texts: tuple[str, ...]
    unknown: tuple[int, ...]
    prompt: str
    source: Tokens | None = None
    image: ImageInput | None = None  # as the model sees it

    @property
    def n_source(self) -> int:
        """Number of tokens that an encoder reads, 0 without one."""
        return 0 if self.source is None else len(self.source)

    def __len__(self) -> int:
        return len(self.ids)

    def unlike(self, corrupt: Tokens) -> str:
        """Why this and a corrupt prompt are no pair, as a sentence; empty when they are one."""
        counts = ((len(self), len(corrupt)), (self.n_source, corrupt.n_source))
        wheres = ("" if self.source is None else " for the decoder", " for the encoder")
        for (one, other), where in zip(counts, wheres, strict=True):
            if one != other:
                return f"The prompt has {one} tokens{where} and the corrupt prompt {other}."
        return ""


class Lexicon:
    """A model's tokenizer, or the lack of one, as the rest of Microtome sees it.

    ``size`` is the number of rows of the embedding, which may exceed the tokenizer's vocabulary.
    ``start`` is the token that a decoder beside an encoder begins with, None for other models.
    ``mark`` tells this lexicon from others whose ids mean other things; empty where ids always mean
    the same.
    """

    mark = ""

    def __init__(
        self,
        tokenizer: Any,
        size: int,
        context: int | None,
        name: str,
        start: int | None = None,
    ) -> None:
        self._tokenizer, self._size, self._context, self._name = tokenizer, size, context, name
        self._start = start
        self._texts: dict[int, str] = {}

    def _required(self) -> Any:
        if self._tokenizer is None:
            raise TokenizerMissing(_NO_TOKENIZER.format(name=self._name), _GIVE_IDS)
        return self._tokenizer

    @property
    def mask_token(self) -> int | None:
        """The id of the token that a masked language model fills in, where there is one."""
        token = getattr(self._tokenizer, "mask_token_id", None)
        return None if token is None else int(token)

    @property
    def size(self) -> int:
        """Number of tokens that can be read: ids are below it."""
        return self._size

    @cached_property
    def _known(self) -> int:
        return 0 if self._tokenizer is None else len(self._tokenizer)

    # ------------------------------------------------------------------ prompts

    def tokenize(self, prompt: Prompt | Sequence[int]) -> Tokens:
        """The tokens of a text, exactly as the tokenizer gives them, or of ids as they are.

        A text gets the special tokens that the tokenizer puts around it; ids get none.
        With an encoder beside a decoder the text before ``|||`` (among ids, before -1) is the
        source, with these special tokens; the decoder gets its start token, and then what stands
        behind.
        Raises PromptError for an empty prompt, one longer than the context or with ids outside
        the vocabulary; TokenizerMissing for text without a tokenizer.
        """
        given = as_prompt(prompt)
        if isinstance(given, ImageInput):
            raise PromptError(
                f"{self._name} reads text, but an image was given.",
                "Type a text, or open a model that sees, such as shapes-resnet.",
            )
        if self._start is not None:
            return self._both_sides(given, self._start)
        tokens = self._from_text(given) if isinstance(given, str) else self._from_ids(given)
        self._check(tokens)
        return tokens

    def documents(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of texts of any length, each with the tokenizer's special tokens.

        Raises TokenizerMissing without a tokenizer, PromptError where it breaks down.
        """
        tokenizer = self._required()
        with TokenizerEdge(_BROKE_DOWN, PromptError):
            encoded = tokenizer(list(texts), return_attention_mask=False, verbose=False)
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    @property
    def special_tokens(self) -> tuple[int, ...]:
        """The ids that a tokenizer puts around texts; none without one."""
        return tuple(sorted(getattr(self._tokenizer, "all_special_ids", ())))

    def _both_sides(self, prompt: Prompt, start: int) -> Tokens:
        read, goes_on = both_sides(prompt)
        if isinstance(read, str):
            source = self._from_text(read)
            target = self._from_text(str(goes_on), special=False) if goes_on else None
        else:
            source = self._from_ids(_ids(read))
            target = self._from_ids(_ids(goes_on)) if goes_on else None
        self._check(source)
        first = Tokens(np.array([start], dtype=np.int32), (self.token_text(start),), (), "")
        if target is None:
            return replace(first, prompt=source.prompt, source=source)
        self._check(target)
        return Tokens(
            np.concatenate([first.ids, target.ids]),
            (*first.texts, *target.texts),
            tuple(at + 1 for at in target.unknown),
            f"{source.prompt} {SEPARATOR} {target.prompt}",
            source,
        )

    def repeating(self, ids: Sequence[int]) -> tuple[int, ...]:
        """A prompt that shows given tokens: to an encoder and behind the decoder's start."""
        return tuple(ids) if self._start is None else (*ids, SEPARATOR_ID, *ids)

    def _from_text(self, text: str, *, special: bool = True) -> Tokens:
        tokenizer = self._required()
        fast = bool(getattr(tokenizer, "is_fast", False))
        with TokenizerEdge(_BROKE_DOWN, PromptError):
            encoded = tokenizer(text, return_offsets_mapping=fast, add_special_tokens=special)
        ids = [int(token) for token in encoded["input_ids"]]
        unknown = tuple(at for at, token in enumerate(ids) if token == tokenizer.unk_token_id)
        texts = [self.token_text(token) for token in ids]
        if fast:
            for at in unknown:
                start, end = encoded["offset_mapping"][at]
                texts[at] = text[start:end].strip() or texts[at]
        return Tokens(np.array(ids, dtype=np.int32), tuple(texts), unknown, text)

    def _from_ids(self, ids: Sequence[int]) -> Tokens:
        self._check_ids(ids)
        texts = tuple(self.token_text(token) for token in ids)
        return Tokens(np.array(ids, dtype=np.int32), texts, (), self.text(ids))

    def _check(self, tokens: Tokens) -> None:
        if not len(tokens):
            raise PromptError("The prompt has no tokens.", "Type a text, or give token ids.")
        if self._context is not None and len(tokens) > self._context:
            raise PromptError(
                f"The prompt has {len(tokens)} tokens, but {self._name} reads at most "
                f"{self._context}.",
                f"Shorten it by {len(tokens) - self._context} tokens.",
            )
        self._check_ids(tokens.ids.tolist())

    def _check_ids(self, ids: Sequence[int]) -> None:
        outside = next((token for token in ids if not 0 <= token < self._size), None)
        if outside is not None:
            raise PromptError(
                f"The token id {outside} is outside the vocabulary of {self._name}.",
                f"Use ids from 0 to {self._size - 1}.",
            )

    # ------------------------------------------------------------------ texts

    def text(self, ids: Sequence[int]) -> str:
        """The text of token ids, as the tokenizer joins them; the ids themselves without one."""
        if self._tokenizer is None:
            return " ".join(map(str, ids))
        with TokenizerEdge(_BROKE_DOWN, PromptError):
            return str(self._tokenizer.decode(list(ids)))

    def token_text(self, token: int) -> str:
        """How a token reads, with its leading space; ``<id>`` where the tokenizer has no text."""
        if token not in self._texts:
            self._texts[token] = self._read(int(token))
        return self._texts[token]

    def _read(self, token: int) -> str:
        if not 0 <= token < self._known:
            return f"<{token}>"
        raw = self._tokenizer.convert_ids_to_tokens(token)
        if raw is None:
            return f"<{token}>"
        with TokenizerEdge(_BROKE_DOWN, PromptError):
            text = str(self._tokenizer.decode([token], clean_up_tokenization_spaces=False))
        if _REPLACEMENT in text or not text:
            # Part of a character, or a special token that decodes to nothing.
            return str(raw)
        return f" {text}" if raw.startswith(_METASPACE) and not text.startswith(" ") else text

    @cached_property
    def _words(self) -> dict[str, int]:
        """Each word that is one token, and its id, in the order of ids."""
        special = set(getattr(self._tokenizer, "all_special_ids", ()))
        words: dict[str, int] = {}
        for token in range(min(self._known, self._size)):
            word = self.token_text(token).strip()
            if word and token not in special:
                words.setdefault(word, token)
        return words

    def vocabulary_words(self) -> tuple[str, ...]:
        """Words that are one token, for completion, without surrounding spaces."""
        return tuple(self._words) if self._tokenizer is not None else ()

    @cached_property
    def ordinary(self) -> tuple[int, ...]:
        """The ids that stand for text; without a tokenizer all."""
        if self._tokenizer is None:
            return tuple(range(self._size))
        special = set(getattr(self._tokenizer, "all_special_ids", ()))
        return tuple(at for at in range(min(self._known, self._size)) if at not in special)

    # ------------------------------------------------------------------ answers

    def answer_token(self, answer: str | int) -> int:
        """The id of an answer that is exactly one known token.

        A word without a leading space is first looked for with one, as it would follow a text.
        Raises AnswerError that names what the word is instead, and words near to it.
        """
        if isinstance(answer, int | np.integer):
            if not 0 <= answer < self._size:
                raise AnswerError(
                    f"The answer {answer} is outside the vocabulary of {self._name}.",
                    f"Use an id from 0 to {self._size - 1}.",
                )
            return int(answer)
        if self._tokenizer is None and answer.strip().isdecimal():
            return self.answer_token(int(answer))
        return self._answer_word(answer)

    def _answer_word(self, answer: str) -> int:
        if not answer.strip():
            raise AnswerError("The answer is empty.", "Type one word, or leave it out.")
        tokenizer = self._required()
        found = [self._encode(spelling) for spelling in _spellings(answer)]
        for ids in found:
            if len(ids) == 1 and ids[0] != tokenizer.unk_token_id and ids[0] < self._size:
                return ids[0]
        raise self._refusal(answer, min(found, key=len))

    def _encode(self, text: str) -> list[int]:
        with TokenizerEdge(_BROKE_DOWN, PromptError):
            return [int(token) for token in self._tokenizer.encode(text, add_special_tokens=False)]

    def _refusal(self, answer: str, ids: list[int]) -> AnswerError:
        near = difflib.get_close_matches(answer.strip(), self._words, n=3, cutoff=0.6)
        way_out = f"Near to it: {', '.join(near)}." if near else "Choose a word the model knows."
        unknown = self._tokenizer.unk_token_id
        if len(ids) <= 1 or unknown in ids:
            return AnswerError(f"The answer {answer!r} is not in the model's vocabulary.", way_out)
        pieces = " + ".join(repr(self.token_text(token)) for token in ids)
        return AnswerError(
            f"The answer {answer!r} is {len(ids)} tokens ({pieces}); an answer must be one.",
            way_out,
        )


def _ids(prompt: Prompt) -> tuple[int, ...]:
    return tuple(map(int, prompt)) if isinstance(prompt, tuple) else ()


def _spellings(answer: str) -> tuple[str, ...]:
    """The ways to write an answer, the likeliest to follow a text first."""
    word = answer.strip()
    if answer != word or not word[0].isalnum():
        return (answer, f" {word}", word)
    return (f" {word}", word)
