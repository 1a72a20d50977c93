"""Token swaps that flip an answer: the nearest, or what the gradient proposes, measured exactly.

Source of the gradient's proposals: Ebrahimi et al., "HotFlip: White-Box Adversarial Examples for
Text Classification" (2018).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
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
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt, PromptPair, as_prompt, plain_prompt
from microtome.records.adversarial import Adversarial, adversarial_analysis
from microtome.records.analysis import Analysis
from microtome.records.circuit import OUTPUT
from microtome.suites.choices import ANY, Choices, Ids, choices
from microtome.suites.flips import Flip, Proposed, Tried
from microtome.suites.loading import Source
from microtome.suites.running import measured

_MOST = 200_000  # swaps that an exhaustive search may measure in one round
_KEPT = 20  # prompts in a result
_NODES = 12
_NUMBERS = {"swaps": 1, "beam": 4, "candidates": 200}
_METHODS = {
    "exhaustive": "every swap, measured",
    "nearness": "the nearest, measured",
    "gradient": "HotFlip, then measured",
}
NEAREST, GRADIENT = ORDERS = ("nearness", "gradient")


class Options(TypedDict, total=False):
    """How swaps are looked for."""

    swaps: int  # at most so many, 1
    words: Sequence[str | int] | str | None  # what may be put in; "any" for every token of text
    task: Source | Sequence[Source] | None  # without words: whose prompts; else the model's sets
    positions: Sequence[int] | None  # where; else wherever text but the answers stands
    beam: int  # prompts that a round goes on from, 4
    candidates: int  # swaps of each that are run, 200
    order: str  # which of them: "nearness" or "gradient"
    exhaustive: bool  # run all of them
    job: Job | None


@small_on_one_thread
def adversarial_search(
    model: Model,
    prompt: Prompt | Sequence[int],
    answer: str | int,
    wrong: str | int | None = None,
    **options: Unpack[Options],
) -> Analysis:
    """Prompts that differ from one in up to ``swaps`` tokens and no longer give its answer.

    An answer is flipped when the wrong answer, or without one any other token, is above it. Swaps
    put ``words`` in at ``positions``: without words what stands at the same place in the other
    prompts of the ``task``, see ``microtome.suites.choices``; without positions wherever neither
    the answer nor the wrong answer stands, so that a swap that merely removes one is no finding.
    Each round adds a swap to the ``beam`` prompts of lowest margin: of each, ``candidates`` swaps
    are run, those whose embeddings are nearest by cosine, with ``order="gradient"`` those that
    the gradient at the embeddings says lower the margin most, with ``exhaustive`` all. The search
    ends with the first round that flips, so that no more swaps are made than it takes. Prompts
    that flip come first, the nearest of them before all. The nodes are those of the circuit of
    the pair (prompt, first result), by the two-point rule, which carry the change. Partial
    results are handed out by ``job.partial`` as ``adversarial``, after each round.
    ``microtome.records.adversarial.adversarial_of`` reads the result as an ``Adversarial``.
    Raises InputError for what cannot be asked, MetricError when the prompt itself does not give
    the answer, AnswerError for an answer that is not one token.
    """
    expect_model(model)
    expect_options(options, Options)
    expect_known(model, "A search for swaps")
    asked = Flip.of(model, as_prompt(prompt), answer, wrong)
    settings = _settings(options)
    words, positions, job = options.get("words"), options.get("positions"), options.get("job")
    job = job_or_default(job)
    task, kept = options.get("task"), asked.kept
    allowed = choices(model, asked.prompt, words, positions, task, kept, job)
    settings |= {
        "words": words if words in (None, ANY) else [str(word) for word in words or ()],
        "task": allowed.task,
        "positions": None if positions is None else [at % len(asked.ids) for at in positions],
    }
    search = _Search(asked, allowed, settings, job)
    search.expect_bounded()
    return adversarial_analysis(search.run())


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """How the search goes on. Raises InputError."""
    held = {name: options.get(name, usual) for name, usual in _NUMBERS.items()}
    for name, number in held.items():
        expect(number, int, name, "a whole number", f"Write for example {name}=1.")
        if number < 1:
            raise InputError(f"{name} is {number}.", "Give 1 or more.")
    order = options.get("order", NEAREST)
    if order not in ORDERS:
        raise InputError(f"There is no order {order!r}.", f"Orders: {', '.join(ORDERS)}.")
    return {**held, "order": order, "exhaustive": bool(options.get("exhaustive", False))}


@dataclass(slots=True, eq=False)
class _Search:
    """What has been tried so far."""

    asked: Flip
    allowed: Choices
    settings: dict[str, Any]
    job: Job
    started: float = field(default_factory=time.perf_counter)
    start: Tried = field(init=False)
    found: list[Tried] = field(default_factory=list)
    seen: set[Ids] = field(default_factory=set)
    rounds: int = 0
    ordinary: frozenset[int] = field(init=False)  # tokens that stand for text

    def __post_init__(self) -> None:
        self.ordinary = frozenset(self.asked.model.lexicon.ordinary)

    def expect_bounded(self) -> None:
        """Raise InputError for an exhaustive search that would take too long."""
        count = len(self.allowed) * self.settings["beam"]
        if self.settings["exhaustive"] and count > _MOST:
            raise InputError(
                f"An exhaustive round has {count:,} swaps to run.",
                f"Give words or positions so that at most {_MOST:,} are left, or leave "
                "exhaustive out.",
            )

    def run(self) -> Adversarial:
        """Rounds until one flips the answer, or none is left."""
        self.start = self._measured([Proposed(self.asked.ids)])[0]
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
            self.found = sorted([*self.found, *tried], key=lambda one: one.rank)[:_KEPT]
            if self.found and self.found[0].margin < 0:
                break
            beam = sorted(tried, key=lambda one: one.margin)[: self.settings["beam"]]
            if self.rounds < self.settings["swaps"]:
                self.job.partial("adversarial", adversarial_analysis(self.record(complete=False)))
        return self.record(complete=True)

    # ------------------------------------------------------------------ proposing

    def _proposed(self, beam: Sequence[Tried]) -> Iterator[Proposed]:
        """New prompts, one swap further than those of the beam."""
        for member in beam:
            self.job.check()
            for swap in self._swaps(member):
                at, token = int(self.allowed.at[swap]), int(self.allowed.token[swap])
                ids = (*member.ids[:at], token, *member.ids[at + 1 :])
                if ids not in self.seen:
                    self.seen.add(ids)
                    yield Proposed(ids, (*member.cosines, float(self.allowed.near[swap])))

    def _swaps(self, member: Tried) -> Int[np.ndarray, " swap"]:
        """Rows of the choices, the most promising first; each position is swapped once."""
        allowed, own = self.allowed, np.array(member.ids)
        left = np.flatnonzero(own[allowed.at] == np.array(self.asked.ids)[allowed.at])
        count = len(left) if self.settings["exhaustive"] else self.settings["candidates"]
        if self.settings["order"] == GRADIENT and count < len(left):
            left = left[np.argsort(self._first_order(member)[left], kind="stable")]
        return left[:count]  # the nearest come first

    def _first_order(self, member: Tried) -> Float[np.ndarray, " swap"]:
        """By how much the margin changes for each swap, as far as the gradient tells."""
        model, allowed = self.asked.model, self.allowed
        rows, back = np.unique(allowed.token, return_inverse=True)
        with torch.no_grad():
            anatomy = anatomy_in(model.anatomy, precise(model.anatomy.embedding.dtype))
            ids = torch.tensor(member.ids)
            slope = margin_slope(anatomy, ids, self.asked.answer, member.other, self._at(ids))
            there = embedded(anatomy, ids.to(slope.device))
            tokens = embedded(anatomy, torch.from_numpy(rows).to(slope.device))
            change = slope @ tokens.T - (slope * there).sum(-1, keepdim=True)  # [position, token]
        found: np.ndarray = change.double().cpu().numpy()[allowed.at, back]
        return found

    def _at(self, ids: Tensor) -> int:
        return self.asked.model.read_at(ids.numpy()) % len(ids)

    # ------------------------------------------------------------------ measuring

    def _measured(self, prompts: Sequence[Proposed]) -> list[Tried]:
        """Every prompt, run as it is."""
        model, question = self.asked.model, self.asked
        asked = [
            Asked(model.tokenize(one.ids), question.answer, question.wrong, number)
            for number, one in enumerate(prompts)
        ]
        found: list[Tried] = []
        for group in of_one_length(model, asked):
            self.job.progress("Running swapped prompts", len(found), len(asked))
            logits = logits_behind(model, group, {}, self.job)
            for one, own, row in zip(group, logits, measured(logits, group), strict=True):
                rivals = own.copy()
                rivals[question.answer] = -np.inf
                best = int(rivals.argmax())
                other = best if question.wrong is None else question.wrong
                tried = prompts[one.number]
                said = int(own.argmax())
                found.append(
                    Tried(tried.ids, tried.cosines, float(row[3]), float(row[2]), said, other)
                )
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
            nearness=np.array([one.near for one in self.found]),
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
        text = model.lexicon.text([token for token in ids if token in self.ordinary]).strip()
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
            "prompt": plain_prompt(prompt),
            "answer": model.token_text(asked.answer).strip(),
            "wrong": None if asked.wrong is None else model.token_text(asked.wrong).strip(),
            **self.settings,
        }
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        return {
            **told,
            "id": f"adversarial-{digest[:12]}",
            "method": _METHODS[
                "exhaustive" if self.settings["exhaustive"] else self.settings["order"]
            ],
            "said_before": model.token_text(self.start.said),
            "kept": sorted({model.token_text(token).strip() for token in asked.kept}),
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
