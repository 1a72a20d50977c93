"""Token swaps that flip an answer: proposed by the gradient, measured exactly.

Source: Ebrahimi et al., "HotFlip: White-Box Adversarial Examples for Text Classification" (2018).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.analysis.answering import Asked, logits_behind, of_one_length
from microtome.circuits.asking import precise
from microtome.circuits.backward import backward
from microtome.circuits.coefficients import Rule, coefficients
from microtome.circuits.component import component_graph
from microtome.circuits.discovery.task import expect_options
from microtome.errors import InputError, MetricError, expect
from microtome.jobs import Job, job_or_default
from microtome.metrics import LogitDifference
from microtome.models.anatomy import Anatomy
from microtome.models.arithmetic import anatomy_in, run
from microtome.models.given import expect_known, expect_model
from microtome.models.model import Model
from microtome.models.operations import embedded
from microtome.models.tokens import Tokens
from microtome.prompts import Prompt, PromptPair, as_prompt
from microtome.records.adversarial import Adversarial, adversarial_analysis
from microtome.records.analysis import Analysis
from microtome.records.circuit import OUTPUT
from microtome.suites.running import measured

_MOST = 200_000  # swaps that an exhaustive search may measure in one round
_KEPT = 20  # prompts in a result
_NODES = 12
_NUMBERS = {"swaps": 1, "beam": 4, "candidates": 64}

Ids = tuple[int, ...]


class Options(TypedDict, total=False):
    """How swaps are looked for."""

    swaps: int  # at most so many, 1
    words: Sequence[str | int] | None  # what may be put in; else every token that stands for text
    positions: Sequence[int] | None  # where; else wherever such a token stands
    beam: int  # prompts that a round goes on from, 4
    candidates: int  # swaps of each that are run, 64
    exhaustive: bool  # run all of them
    job: Job | None


def adversarial_search(
    model: Model,
    prompt: Prompt | Sequence[int],
    answer: str | int,
    wrong: str | int | None = None,
    **options: Unpack[Options],
) -> Analysis:
    """Prompts that differ from one in up to ``swaps`` tokens and no longer give its answer.

    An answer is flipped when the wrong answer, or without one any other token, is above it. Swaps
    put ``words`` in at ``positions``. Each round adds a swap to the ``beam`` prompts of lowest
    margin: of each, the ``candidates`` swaps that the gradient at the embeddings says lower the
    margin most are run, or all with ``exhaustive``. The search ends with the first round that
    flips, so that no more swaps are made than it takes. The nodes are those of the circuit of the
    pair (prompt, first result), by the two-point rule, which carry the change. Partial results are
    handed out by ``job.partial`` as ``adversarial``, after each round.
    ``microtome.records.adversarial.adversarial_of`` reads the result as an ``Adversarial``.
    Raises InputError for what cannot be asked, MetricError when the prompt itself does not give
    the answer, AnswerError for an answer that is not one token.
    """
    expect_model(model)
    expect_options(options, Options)
    expect_known(model, "The gradient that proposes swaps")
    asked = _Asked.of(model, as_prompt(prompt), answer, wrong)
    numbers = {name: options.get(name, usual) for name, usual in _NUMBERS.items()}
    _expect_numbers(numbers)
    words, positions = options.get("words"), options.get("positions")
    allowed = _allowed(model, words)
    places = _places(asked.tokens, positions, model)
    settings = {
        **numbers,
        "exhaustive": bool(options.get("exhaustive", False)),
        "words": None if words is None else [str(word) for word in words],
        "positions": None if positions is None else places.tolist(),
    }
    search = _Search(asked, allowed, places, settings, job_or_default(options.get("job")))
    search.expect_bounded()
    return adversarial_analysis(search.run())


def _expect_numbers(given: Mapping[str, Any]) -> None:
    for name, number in given.items():
        expect(number, int, name, "a whole number", f"Write for example {name}=1.")
        if number < 1:
            raise InputError(f"{name} is {number}.", "Give 1 or more.")


def _allowed(model: Model, words: Sequence[str | int] | None) -> Int[np.ndarray, " token"]:
    """The tokens that may be put in."""
    if words is None:
        return np.array(model.lexicon.ordinary, dtype=np.int64)
    example = "Write for example words=['Mary', 'John']."
    expect(words, (tuple, list), "words", "a list of words", example)
    if not words:
        raise InputError("The list of words is empty.", example)
    return np.array([model.lexicon.answer_token(word) for word in words], dtype=np.int64)


def _places(
    tokens: Tokens, positions: Sequence[int] | None, model: Model
) -> Int[np.ndarray, " place"]:
    """The positions that may be swapped: those given, or all that hold text."""
    if positions is None:
        found = np.flatnonzero(np.isin(tokens.ids, model.lexicon.ordinary))
    else:
        example = "Write for example positions=[2, 5]."
        expect(positions, (tuple, list), "positions", "a list of positions", example)
        for at in positions:
            expect(at, int, "position", "a whole number", example)
            if not -len(tokens) <= at < len(tokens):
                raise InputError(
                    f"Position {at} is none of a prompt of {len(tokens)} tokens.",
                    f"Positions are 0 to {len(tokens) - 1}.",
                )
        found = np.unique([at % len(tokens) for at in positions])
    if not len(found):
        raise InputError("No position may be swapped.", "Name some that hold text.")
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """The question: a prompt, its answer, and what it is compared with."""

    model: Model
    prompt: Prompt
    tokens: Tokens
    answer: int
    wrong: int | None

    @classmethod
    def of(cls, model: Model, prompt: Prompt, answer: Any, wrong: Any) -> _Asked:
        other = None if wrong is None else model.answer_token(wrong)
        held = cls(model, prompt, model.tokenize(prompt), model.answer_token(answer), other)
        if held.answer == other:
            raise MetricError(
                f"Answer and wrong answer are both {answer!r}.", "Give two different words."
            )
        return held

    @property
    def ids(self) -> Ids:
        return tuple(int(token) for token in self.tokens.ids)


@dataclass(frozen=True, slots=True)
class _Tried:
    """One prompt that was run."""

    ids: Ids
    margin: float
    probability: float
    said: int  # the most probable token
    other: int  # the token that the answer is compared with


@dataclass(slots=True, eq=False)
class _Search:
    """What has been tried so far."""

    asked: _Asked
    allowed: Int[np.ndarray, " token"]
    places: Int[np.ndarray, " place"]
    settings: dict[str, Any]
    job: Job
    started: float = field(default_factory=time.perf_counter)
    start: _Tried = field(init=False)
    found: list[_Tried] = field(default_factory=list)
    seen: set[Ids] = field(default_factory=set)
    rounds: int = 0

    def expect_bounded(self) -> None:
        """Raise InputError for an exhaustive search that would take too long."""
        count = len(self.allowed) * len(self.places) * self.settings["beam"]
        if self.settings["exhaustive"] and count > _MOST:
            raise InputError(
                f"An exhaustive round has {count:,} swaps to run.",
                f"Give words or positions so that at most {_MOST:,} are left, or follow the "
                "gradient.",
            )

    def run(self) -> Adversarial:
        """Rounds until one flips the answer, or none is left."""
        self.start = self._measured([self.asked.ids])[0]
        if self.start.margin < 0:
            said = self.asked.model.token_text(self.start.other).strip()
            raise MetricError(
                f"The prompt does not give the answer: {said} is above it, there is nothing to "
                "flip.",
                "Give the answer that the model gives.",
            )
        self.seen.add(self.asked.ids)
        beam = [self.start]
        while beam and self.rounds < self.settings["swaps"]:
            self.job.progress("Swapping tokens", self.rounds, self.settings["swaps"])
            tried = self._measured(list(self._proposed(beam)))
            self.rounds += 1
            self.found = sorted([*self.found, *tried], key=lambda one: one.margin)[:_KEPT]
            if self.found and self.found[0].margin < 0:
                break
            beam = sorted(tried, key=lambda one: one.margin)[: self.settings["beam"]]
            if self.rounds < self.settings["swaps"]:
                self.job.partial("adversarial", adversarial_analysis(self.record(complete=False)))
        return self.record(complete=True)

    # ------------------------------------------------------------------ proposing

    def _proposed(self, beam: Sequence[_Tried]) -> Iterator[Ids]:
        """New prompts, one swap further than those of the beam."""
        for member in beam:
            self.job.check()
            for at, token in self._swaps(member):
                ids = (*member.ids[:at], token, *member.ids[at + 1 :])
                if ids not in self.seen:
                    self.seen.add(ids)
                    yield ids

    def _swaps(self, member: _Tried) -> Iterable[tuple[int, int]]:
        """Places and tokens, the most promising first; each position is swapped once."""
        original = self.asked.ids
        places = [int(at) for at in self.places if member.ids[at] == original[at]]
        pairs = [(at, int(token)) for at in places for token in self.allowed]
        if self.settings["exhaustive"] or not pairs:
            return [(at, token) for at, token in pairs if token != member.ids[at]]
        change = self._first_order(member, places)  # [place, token]
        now = np.array([member.ids[at] for at in places])
        change[self.allowed[None, :] == now[:, None]] = np.inf
        best = np.argsort(change, axis=None, kind="stable")[: self.settings["candidates"]]
        rows, columns = np.unravel_index(best, change.shape)
        kept = np.isfinite(change[rows, columns])
        return [
            (places[row], int(self.allowed[column]))
            for row, column in zip(rows[kept], columns[kept], strict=True)
        ]

    def _first_order(
        self, member: _Tried, places: Sequence[int]
    ) -> Float[np.ndarray, "place token"]:
        """By how much the margin changes for each swap, as far as the gradient tells."""
        model = self.asked.model
        with torch.no_grad():
            anatomy = anatomy_in(model.anatomy, precise(model.anatomy.embedding.dtype))
            ids = torch.tensor(member.ids)
            slope = margin_slope(anatomy, ids, self.asked.answer, member.other, self._at(ids))
            slope = slope[list(places)]
            there = embedded(anatomy, ids[list(places)].to(slope.device))
            tokens = embedded(anatomy, torch.from_numpy(self.allowed).to(slope.device))
            change = slope @ tokens.T - (slope * there).sum(-1, keepdim=True)
        found: np.ndarray = change.double().cpu().numpy()
        return found

    def _at(self, ids: Tensor) -> int:
        return self.asked.model.read_at(ids.numpy()) % len(ids)

    # ------------------------------------------------------------------ measuring

    def _measured(self, prompts: Sequence[Ids]) -> list[_Tried]:
        """Every prompt, run as it is."""
        model, question = self.asked.model, self.asked
        asked = [
            Asked(model.tokenize(ids), question.answer, question.wrong, number)
            for number, ids in enumerate(prompts)
        ]
        found: list[_Tried] = []
        for group in of_one_length(model, asked):
            self.job.progress("Running swapped prompts", len(found), len(asked))
            logits = logits_behind(model, group, {}, self.job)
            for one, own, row in zip(group, logits, measured(logits, group), strict=True):
                rivals = own.copy()
                rivals[question.answer] = -np.inf
                best = int(rivals.argmax())
                other = best if question.wrong is None else question.wrong
                found.append(
                    _Tried(prompts[one.number], float(row[3]), float(row[2]),
                           int(own.argmax()), other)
                )  # fmt: skip
        return found

    # ------------------------------------------------------------------ record

    def record(self, *, complete: bool) -> Adversarial:
        """What was found; the nodes with the last result."""
        model, original = self.asked.model, self.asked.ids
        ids = np.array([one.ids for one in self.found] or np.zeros((0, len(original))))
        swapped = ids != np.array(original)
        nodes, scores = self._nodes() if complete and self.found else ((), np.zeros(0))
        texts = [
            [model.lexicon.token_text(token) for token, other in zip(one.ids, original, strict=True)
             if token != other]
            for one in self.found
        ]  # fmt: skip
        return Adversarial(
            tokens=self.asked.tokens.texts,
            ids=ids.astype(np.int64),
            swapped=swapped,
            texts=tuple(self._text(one.ids) for one in self.found),
            margin=np.array([one.margin for one in self.found]),
            probability=np.array([one.probability for one in self.found]),
            said=tuple(model.token_text(one.said) for one in self.found),
            margin_before=self.start.margin,
            probability_before=self.start.probability,
            nodes=nodes,
            scores=scores,
            params=self._params(texts, complete=complete),
        )

    def _text(self, ids: Ids) -> str:
        """The text of a prompt, empty where it would not give these tokens again."""
        model = self.asked.model
        if not isinstance(self.asked.prompt, str):
            return ""
        ordinary = [token for token in ids if token in set(model.lexicon.ordinary)]
        text = model.lexicon.text(ordinary).strip()
        again = model.tokenize(text).ids.tolist() if text else []
        return text if again == list(ids) else ""

    def _nodes(self) -> tuple[tuple[str, ...], Float[np.ndarray, " node"]]:
        """The nodes of the circuit from the prompt to the first result, strongest first."""
        best = self.found[0]
        pair = PromptPair(self.asked.ids, best.ids)
        metric = LogitDifference(self.asked.answer, best.other, self._at(torch.tensor(best.ids)))
        circuit = component_graph(self.asked.model, pair, metric, job=self.job)
        sizes = np.abs(circuit.node_score)
        order = [int(row) for row in np.argsort(-sizes, kind="stable")]
        rows = [row for row in order if circuit.node_kind[row] != OUTPUT and sizes[row] > 0]
        chosen = rows[:_NODES]
        names = tuple(circuit.node_id[row] for row in chosen)
        return names, circuit.node_score[chosen].astype(np.float64)

    def _params(self, texts: list[list[str]], *, complete: bool) -> dict[str, Any]:
        asked, model = self.asked, self.asked.model
        prompt = asked.prompt
        told = {
            "model": model.identity.name,
            "fingerprint": model.identity.fingerprint,
            "prompt": prompt if isinstance(prompt, str) else list(prompt),
            "answer": model.token_text(asked.answer).strip(),
            "wrong": None if asked.wrong is None else model.token_text(asked.wrong).strip(),
            **self.settings,
        }
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        return {
            **told,
            "id": f"adversarial-{digest[:12]}",
            "method": "exhaustive" if self.settings["exhaustive"] else "HotFlip, then measured",
            "tried": len(self.seen) - 1,
            "rounds": self.rounds,
            "swapped_texts": texts,
            "complete": complete,
            "seconds": time.perf_counter() - self.started,
        }


def margin_slope(
    anatomy: Anatomy, ids: Int[Tensor, " position"], answer: int, other: int, at: int
) -> Float[Tensor, "position d_model"]:
    """The gradient of the logit of the answer minus another's to what each token embeds."""
    ran = run(anatomy, ids)
    weights = ran.final.new_zeros(anatomy.unembedding.shape[0])
    weights[answer], weights[other] = 1.0, -1.0
    return backward(coefficients(ran, ran, Rule.EAP_CLEAN, at), weights, at).embedding
