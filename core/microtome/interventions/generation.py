"""Text that a model writes, token by token, with and without edits.

Every token is a whole pass over the text so far: what an edit does to earlier positions is
computed anew each time and so is exact, whatever the edit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from torch import Tensor

from microtome.activations.capture import Edit, chains_of, expect_edits, tapped_logits
from microtome.errors import InputError, expect
from microtome.interventions.sampling import Sampling, softmax
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.hooks import Tap
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.models.tokens import Tokens
from microtome.prompts import Prompt
from microtome.records.generation import Generation
from microtome.sites import Site

_GROWING = ("position", "query", "key")


@small_on_one_thread
def generate(  # noqa: PLR0913  the settings of sampling are named one by one
    model: Model,
    prompt: Prompt | Sequence[int],
    n_tokens: int = 20,
    *,
    edits: Sequence[Edit] = (),
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    job: Job | None = None,
) -> Generation:
    """How a model goes on from a prompt, by up to ``n_tokens`` tokens.

    It stops earlier when it ends the text itself or reads no more. Temperature 0 takes the most
    probable token; see ``Sampling`` for the others. The same seed draws the same numbers with
    and without edits, so that both texts part only where the edits change a choice.
    Edits with positions act there, counted in the prompt, also while the text grows. Edits
    without act everywhere; but one whose values belong to single positions (a patch with a row
    for each, a position mean, a resampling) acts at those of the prompt.
    What there is so far is handed to the job as ``generation`` after each token.
    Raises InputError for settings that make no sense and for models that do not write on, and
    what ``trace`` raises.
    """
    job = job_or_default(job)
    expect_model(model)
    expect_edits(edits)
    expect(n_tokens, int, "n_tokens", "a whole number", "Write for example 20.")
    if n_tokens < 1:
        raise InputError(f"{n_tokens} tokens were asked for.", "Ask for one or more.")
    _refuse_no_writer(model)
    sampling = Sampling(temperature, top_k, top_p, seed)
    writing = _Writing(model, model.tokenize(prompt), edits, sampling, n_tokens)
    writing.run(job)
    return writing.record()


def _refuse_no_writer(model: Model) -> None:
    if model.in_place or model.labels is not None:
        does = "says classes" if model.labels is not None else "fills in masked words"
        raise InputError(
            f"{model.identity.name} {does} and does not go on from a text.",
            "Choose a model that predicts the next token, for example words-4l.",
        )


@dataclass(slots=True)
class _Writing:
    """One text while it grows."""

    model: Model
    prompt: Tokens
    edits: Sequence[Edit]
    sampling: Sampling
    n_tokens: int
    ids: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    stopped: str = ""
    seconds: float = 0.0

    def run(self, job: Job) -> None:
        started, draws = time.perf_counter(), np.random.default_rng(self.sampling.seed)
        held = _held_in_place(self.model, self.prompt, self.edits, job)
        while not self.stopped:
            job.progress("Generating", len(self.ids), self.n_tokens)
            self._write(held, float(draws.random()), job)
            self.stopped = self._reason()
            self.seconds = time.perf_counter() - started
            job.partial("generation", self.record())
        job.progress("Generating", self.n_tokens, self.n_tokens)

    def _write(self, edits: Sequence[Edit], draw: float, job: Job) -> None:
        text = self._text()
        chains = chains_of(self.model, text, edits, job)
        logits = tapped_logits(self.model, text, chains, job, edited=bool(edits))
        last = logits[-1].numpy()
        self.ids.append(self.sampling.choose(last, draw))
        self.probabilities.append(float(softmax(last)[self.ids[-1]]))

    def _text(self) -> Tokens:
        ids = np.concatenate([self.prompt.ids, np.array(self.ids, self.prompt.ids.dtype)])
        return replace(self.prompt, ids=ids, texts=(*self.prompt.texts, *self._texts()))

    def _texts(self) -> tuple[str, ...]:
        return tuple(self.model.token_text(token) for token in self.ids)

    def _reason(self) -> str:
        context = self.model.identity.context
        if self.ids[-1] in self.model.ends:
            return "end"
        if len(self.ids) == self.n_tokens:
            return "length"
        full = context is not None and len(self.prompt) + len(self.ids) > context
        return "context" if full else ""

    def record(self) -> Generation:
        """What there is so far."""
        source = self.prompt.source
        return Generation(
            model=self.model.identity.name,
            prompt=self.prompt.prompt,
            tokens=self.prompt.texts,
            token_ids=self.prompt.ids,
            ids=np.array(self.ids, np.int32),
            texts=self._texts(),
            probabilities=np.array(self.probabilities),
            text=self.model.lexicon.text(self.ids),
            stopped=self.stopped,
            source=() if source is None else source.texts,
            edits=tuple(str(edit) for edit in self.edits),
            settings={"n_tokens": self.n_tokens, **self.sampling.params},
            seconds=self.seconds,
        )


def _held_in_place(
    model: Model, prompt: Tokens, edits: Sequence[Edit], job: Job
) -> tuple[Edit, ...]:
    """The edits, those that belong to positions of the prompt bound to them."""
    return tuple(
        edit if _acts_everywhere(edit) else _InPrompt.of(edit, model, prompt, job)
        for edit in edits
    )  # fmt: skip


def _acts_everywhere(edit: Edit) -> bool:
    return getattr(edit, "everywhere", True) and getattr(edit, "positions", None) is None


@dataclass(frozen=True, slots=True)
class _InPrompt:
    """An edit that acts on the positions of a prompt and on nothing that comes behind them."""

    found: Mapping[Site, Tap]

    @classmethod
    def of(cls, edit: Edit, model: Model, prompt: Tokens, job: Job) -> _InPrompt:
        length = len(prompt)
        taps = edit.taps(model, length, job, prompt.n_source)
        return cls({site: partial(_at_the_front, site, length, tap) for site, tap in taps.items()})

    def taps(self, model: Model, positions: int, job: Job, source: int = 0) -> Mapping[Site, Tap]:
        """The same at every length."""
        del model, positions, job, source
        return self.found


def _at_the_front(site: Site, length: int, tap: Tap, values: Tensor) -> Tensor:
    """What a tap makes of the values of a text's first tokens, the others left alone."""
    changed = values.clone()
    front = changed
    for axis, name in enumerate(site.kind.axes):
        if name in _GROWING:
            front = front.narrow(axis + 1, 0, length)
    front.copy_(tap(front))
    return changed
