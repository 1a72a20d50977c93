"""Causal scrubbing: known hypotheses, the plain recursion, bad input, and the record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.errors import Cancelled, InputError, MemoryExceeded, MetricError, SiteMissing
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.records.hypothesis import MOST_BOXES, Arrow, Box, Hypothesis, hypothesis_of
from microtome.records.scrubbed import Scrubbed, scrubbed_analysis, scrubbed_of

# ---------------------------------------------------------------- induction-exact

TOKEN, WHERE = Box("token", ("input",), "token(at)"), Box("where", ("input",), "at")
PREVIOUS = Box("previous", ("a0.h0",), "token(at - 1)")
ANSWER = Box("answer", ("a1.h0",), "token(previous(at) + 1)")


def arrows(*lines: str) -> tuple[Arrow, ...]:
    return tuple(Arrow(*line.split()) for line in lines)


PREVIOUS_READS = ("where previous q", "where previous k", "token previous v")
QUERY, KEY, VALUE = "token answer q", "previous answer k", "token answer v"
OUT = "answer logits logits"
RIGHT = Hypothesis(
    (TOKEN, WHERE, PREVIOUS, ANSWER), arrows(*PREVIOUS_READS, QUERY, KEY, VALUE, OUT), "induction"
)
WRONG = {
    "L1H0's key does not come from L0H0": Hypothesis((TOKEN, ANSWER), arrows(QUERY, VALUE, OUT)),
    "L0H0 carries the current token": replace(
        RIGHT, boxes=(TOKEN, WHERE, replace(PREVIOUS, claim="token(at)"), ANSWER)
    ),
    "L1H0's query is irrelevant": replace(RIGHT, arrows=arrows(*PREVIOUS_READS, KEY, VALUE, OUT)),
    "L1H0's value is irrelevant": replace(RIGHT, arrows=arrows(*PREVIOUS_READS, QUERY, KEY, OUT)),
    "the answer comes from L0H1": Hypothesis(
        (TOKEN, WHERE, replace(ANSWER, nodes=("a0.h1",))),
        arrows(QUERY, "where answer k", VALUE, OUT),
    ),
}


@pytest.fixture(scope="module")
def model(embedded: Callable[[str], Model]) -> Model:
    return embedded("induction-exact")


@pytest.fixture(scope="module")
def repeats() -> list[tuple[int, ...]]:
    """Forty-eight inputs: eight animals in an order of their own, then six of them again."""
    draw = np.random.default_rng(0)
    segments = [(draw.permutation(16)[:8] + 2).tolist() for _ in range(48)]
    return [(0, *segment, *segment[:6]) for segment in segments]


@pytest.fixture(scope="module")
def right(model: Model, repeats: list[tuple[int, ...]]) -> Scrubbed:
    return mt.causal_scrub(model, RIGHT, repeats, draws=2, seed=1)


def test_the_right_hypothesis_recovers_all(right: Scrubbed, repeats: list[Any]) -> None:
    assert right.recovered >= 0.99
    assert 0.99 <= right.band[0] <= right.recovered <= right.band[1] <= 1.01
    assert right.whole.min() > 0.999
    answers = np.array([ids[7] for ids in repeats])  # what followed the last token before
    same = [(answers == answer).mean() * 48 - 1 for answer in answers]
    np.testing.assert_allclose(right.baseline, np.array(same) / 47, atol=1e-5)
    assert right.metric == "p(right)"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_hypothesis_stays_under_a_half(name: str, model: Model, repeats: list[Any]) -> None:
    answers = [mt.Probability(ids[7]) for ids in repeats]
    found = mt.causal_scrub(model, WRONG[name], repeats, answers, draws=1)
    assert found.recovered < 0.5
    assert found.band[1] < 0.5


def test_swapped_inputs_agree_on_the_claim_and_all_others_on_nothing(
    right: Scrubbed, repeats: list[Any]
) -> None:
    ids = np.array(repeats)
    number, last = 5, ids.shape[1] - 1
    (answer,) = [s for s in right.swapped("", "logits", number, last) if s.wire.source]
    assert (answer.wire.source, answer.wire.writer) == ("answer", "a1.h0")
    assert ids[answer.taken][7] == ids[number][7]
    for at in range(1, last):
        (key,) = [s for s in right.swapped("answer", "a1.h0<k>", answer.taken, at) if s.wire.source]
        assert ids[key.taken][at - 1] == ids[answer.taken][at - 1]
        assert key.wire.source == "previous"
    kinds = {wire: row for row, wire in enumerate(right.wires)}
    (keyed,) = [r for w, r in kinds.items() if (w.reader, w.source) == ("a1.h0<k>", "previous")]
    for at in range(1, last):
        np.testing.assert_array_equal(ids[right.swaps[keyed, :, at], at - 1], ids[:, at - 1])
    # What does not matter is read from all inputs alike.
    free = [r for w, r in kinds.items() if w.reader == "a1.h0<k>" and not w.source]
    drawn = np.bincount(right.swaps[free].ravel(), minlength=48)
    expected = right.swaps[free].size / 48
    assert np.abs(drawn - expected).max() < 6 * np.sqrt(expected)
    assert not right.swapped("", "logits", number, 3)  # the logits are read at the end alone


@pytest.mark.parametrize(("name", "value"), [("swaps", 48), ("claims", 10_000), ("claims", -1)])
def test_a_damaged_record_is_refused(right: Scrubbed, name: str, value: int) -> None:
    analysis = scrubbed_analysis(right)
    array = analysis.array(name).copy()
    array[0, 0, 3] = value
    held = {**analysis.arrays, name: replace(analysis.arrays[name], values=array)}
    with pytest.raises(InputError, match="damaged"):
        scrubbed_of(replace(analysis, arrays=held))


def test_each_claim_has_a_value_that_says_why_inputs_agree(
    right: Scrubbed, model: Model, repeats: list[Any]
) -> None:
    number, ids = 5, repeats[5]
    assert right.tokens[number].tolist() == [model.token_text(token) for token in ids]
    assert right.claimed("previous", number, 3) == model.token_text(ids[2])
    assert right.claimed("previous", number, 0) == "nothing"
    assert right.claimed("where", number, 4) == "4"
    assert right.claimed("answer", number, len(ids) - 1) == model.token_text(ids[7])


def test_draws_come_one_by_one(right: Scrubbed, model: Model, repeats: list[Any]) -> None:
    parts: list[Scrubbed] = []
    job = Job(on_partial=lambda name, value: parts.append(value))
    mt.causal_scrub(model, RIGHT, repeats, draws=2, seed=1, job=job)
    (part,) = parts
    assert part.partial
    assert not right.partial
    assert part.params["id"] == right.params["id"]
    np.testing.assert_array_equal(part.scrubbed, right.scrubbed[:1])


def test_a_seed_repeats_a_run_and_another_does_not(
    right: Scrubbed, model: Model, repeats: list[Any]
) -> None:
    again = mt.causal_scrub(model, RIGHT, repeats, draws=2, seed=1)
    np.testing.assert_array_equal(again.swaps, right.swaps)
    np.testing.assert_array_equal(again.scrubbed, right.scrubbed)
    assert again.params == right.params
    other = mt.causal_scrub(model, RIGHT, repeats, draws=1, seed=2)
    assert (other.swaps != right.swaps).any()
    assert other.params["id"] != right.params["id"]


def test_the_record_goes_through_a_session_file(
    right: Scrubbed, model: Model, tmp_path: Path
) -> None:
    analysis = scrubbed_analysis(right)
    session = mt.Session(model.identity, analyses={analysis.id: analysis})
    mt.save_session(tmp_path / "scrubbed.h5", session)
    opened = mt.open_session(tmp_path / "scrubbed.h5")
    back = scrubbed_of(opened.analyses[analysis.id])
    assert back.hypothesis == right.hypothesis == RIGHT
    assert (back.wires, back.inputs, back.metric) == (right.wires, right.inputs, right.metric)
    assert back.recovered == right.recovered
    assert dict(back.params) == dict(right.params)
    np.testing.assert_array_equal(back.tokens, right.tokens)
    assert back.values == right.values
    for name in ("swaps", "whole", "baseline", "scrubbed", "band", "claims"):
        np.testing.assert_allclose(getattr(back, name), getattr(right, name), rtol=1e-6)
    assert back.swapped("", "logits", 3, 14) == right.swapped("", "logits", 3, 14)
    assert right.swapped("", "logits", 3, 14)
    assert hypothesis_of(json.loads(json.dumps(RIGHT.plain()))) == RIGHT


# ---------------------------------------------------------------- the plain recursion

BOXES = (
    Box("word", ("input",), "token(at)"),
    Box("place", ("input",), "at"),
    Box("mix", ("a0.h1",), "token(at - 1)"),
    Box("first", ("m0",), "count(token(at)) > 1"),
    Box("pair", ("a1.h0", "a1.h2", "m1"), "token(previous(at) + 1)", (-1, 1, 2)),
    Box("end", ("a2.h3",), "token(at) = id(5)"),
)
DEEP = Hypothesis(
    BOXES,
    arrows(
        "word mix v", "place mix q", "place mix k", "mix first mlp", "word first mlp",
        "word pair q", "first pair k", "mix pair v", "first pair mlp", "pair end v", "word end k",
        "place end q", "end logits logits", "first logits logits", "pair logits logits",
    ),
)  # fmt: skip
MIX_TO_MLP = Arrow("mix", "first", "mlp")
SHORT = [tuple(row) for row in np.random.default_rng(3).integers(4, 7, (10, 5)).tolist()]
LONG = [tuple(row) for row in np.random.default_rng(4).integers(4, 7, (4, 6)).tolist()]


class Recursion:
    """The scrubbed model, one node at one position at a time, from the swaps of a record."""

    def __init__(self, plain: Any, model: Model, found: Scrubbed, inputs: list[Any]) -> None:
        self.plain, self.anatomy, self.found = plain, model.anatomy, found
        self.sites = [plain.run(model.anatomy, list(ids))[1] for ids in inputs]
        self.boxes = {box.name: box for box in found.hypothesis.boxes}
        self.node = cache(self._node)

    def written(self, writer: str, i: int, at: int) -> torch.Tensor:
        sites = self.sites[i]
        if writer == "input":
            return sites["resid_pre"][0, at]
        if writer[0] == "m":
            return sites["mlp_out"][int(writer[1:]), at]
        layer, head = (int(part[1:]) for part in writer.split("."))
        w_o = self.anatomy.blocks[layer].attention.w_o[head].double()
        return w_o @ sites["z"][layer, at, head]

    def stream(self, box: str, reader: str, i: int, at: int) -> torch.Tensor:
        layers = self.anatomy.blocks
        if reader != "logits":
            layer = int(reader[1])
            mlp_in_series = reader[0] == "m" and not layers[layer].parallel
            layers = layers[: layer + mlp_in_series]
        total = sum(
            (b.attention.b_o.double() for b in layers if b.attention.b_o is not None),
            torch.zeros(self.anatomy.d_model, dtype=torch.float64),
        )
        swaps = self.found.swapped(box, reader, i, at)
        assert swaps
        for swap in swaps:
            writer, source = swap.wire.writer, swap.wire.source
            length = len(self.sites[i]["resid_pre"][0])
            spoken = self.boxes[source].positions if source else None
            inside = spoken is None or at in [p % length for p in spoken]
            if source and inside:
                total = total + self.node(source, writer, swap.taken, at)
            else:
                total = total + self.written(writer, swap.taken, at)
        return total

    def _node(self, box: str, node: str, i: int, at: int) -> torch.Tensor:
        if node == "input":
            return self.written(node, i, at)
        layer, plain = int(node[1]), self.plain
        b = self.anatomy.blocks[layer]
        if node[0] == "m":
            x = plain.norm(self.stream(box, node, i, at), b.norm2)
            return plain.norm(plain.mlp(x, b.mlp, lambda _site, values: values), b.mlp_norm)
        a, head = b.attention, int(node.split("h")[1])
        shared, length = head // a.group, len(self.sites[i]["resid_pre"][0])

        def read(side: str, weight: Any, bias: Any, number: int) -> torch.Tensor:
            rows = range(at + 1) if side != "q" else [at]
            x = torch.zeros(length, self.anatomy.d_model, dtype=torch.float64)
            for row in rows:
                x[row] = self.stream(box, f"{node}<{side}>", i, row)
            own = None if bias is None else bias[number]
            return plain.linear(plain.norm(x, b.norm1), weight[number], own)

        q = plain.rotate(plain.norm(read("q", a.w_q, a.b_q, head), a.q_norm), a.rotary)
        k = plain.rotate(plain.norm(read("k", a.w_k, a.b_k, shared), a.k_norm), a.rotary)
        v = read("v", a.w_v, a.b_v, shared)
        scores = a.scale * (k[: at + 1] @ q[at])
        if a.bias is not None:
            scores = scores + a.bias.at(length)[head, at, : at + 1].double()
        return a.w_o[head].double() @ (torch.softmax(scores, 0) @ v[: at + 1])

    def logits(self, i: int, at: int) -> torch.Tensor:
        read = self.plain.norm(self.stream("", "logits", i, at), self.anatomy.final_norm)
        return self.plain.linear(read, self.anatomy.unembedding, self.anatomy.unembedding_bias)


@pytest.mark.parametrize("name", ["gpt2", "qwen3", "gpt_neox", "bloom"])
def test_values_are_those_of_the_plain_recursion(
    name: str, tiny_model: Callable[..., Model], plain: Any
) -> None:
    model = tiny_model(name, dtype="float64")
    inputs = [*SHORT, *LONG]  # of two lengths, so that swaps stay inside each
    metrics = [mt.Probability(number, -1 - number % 2) for number in range(len(inputs))]
    hypothesis = DEEP
    if model.anatomy.blocks[0].parallel:  # an MLP does not read heads of its own layer there
        hypothesis = replace(DEEP, arrows=tuple(a for a in DEEP.arrows if a != MIX_TO_MLP))
    found = mt.causal_scrub(model, hypothesis, inputs, metrics, draws=2)
    slow = Recursion(plain, model, found, inputs)
    for number in (0, 3, 12):
        at = len(inputs[number]) - 1 - number % 2
        expected = torch.softmax(slow.logits(number, at), 0)[number]
        assert found.scrubbed[0, number] == pytest.approx(float(expected), abs=1e-9)
        assert abs(found.scrubbed[0, number] - found.whole[number]) > 1e-6
    assert (found.swaps[:, :10, 5] == -1).all()
    assert found.swaps[:, :10].max() < 10 <= found.swaps[:, 10:][found.swaps[:, 10:] >= 0].min()


# ---------------------------------------------------------------- bad input


def answering(**changes: Any) -> Hypothesis:
    return replace(RIGHT, boxes=(TOKEN, WHERE, PREVIOUS, replace(ANSWER, **changes)))


def more(*lines: str) -> Hypothesis:
    return replace(RIGHT, arrows=(*RIGHT.arrows, *arrows(*lines)))


LATE = (TOKEN, WHERE, replace(PREVIOUS, nodes=("a1.h1",)), ANSWER)
REFUSED = {
    "no such head": (answering(nodes=("a1.h2",)), "a1.h2"),
    "no such layer": (answering(nodes=("m2",)), "2 layers of 2 heads"),
    "no such box": (replace(RIGHT, boxes=RIGHT.boxes[1:]), "'token'"),
    "two of a name": (replace(RIGHT, boxes=(*RIGHT.boxes, TOKEN)), "'token'"),
    "bound to nothing": (answering(nodes=()), "bound to nothing"),
    "no way": (Hypothesis((TOKEN, ANSWER), arrows(OUT)), "No way leads from the input"),
    "leads nowhere": (
        replace(RIGHT, arrows=arrows(*PREVIOUS_READS, QUERY, VALUE, OUT)),
        "where leads to no logits",
    ),
    "from nowhere": (
        replace(RIGHT, boxes=(TOKEN, PREVIOUS, ANSWER), arrows=arrows(QUERY, KEY, VALUE, OUT)),
        "previous is reached from no input",
    ),
    "a circle": (more("answer previous v"), "in a circle"),
    "against the layers": (replace(RIGHT, boxes=LATE), "from previous to answer brings nothing"),
    "an arrow twice": (more(QUERY), "Two arrows bring input"),
    "no such reader": (more("token answer z"), "'z'"),
    "logits into a box": (more("token answer logits"), "leads into logits"),
    "a claim": (answering(claim="token(at"), "Column 9"),
    "a position": (answering(positions=(15,)), "position 15"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hypothesis_that_the_model_cannot_have(
    name: str, model: Model, repeats: list[Any]
) -> None:
    hypothesis, part = REFUSED[name]
    with pytest.raises(InputError) as refused:
        mt.causal_scrub(model, hypothesis, repeats[:4])
    assert part in refused.value.what
    assert refused.value.way_out


def test_what_else_is_refused(
    model: Model, repeats: list[Any], tiny_model: Callable[..., Model]
) -> None:
    with pytest.raises(InputError, match="Only one input has 14 tokens"):
        mt.causal_scrub(model, RIGHT, [*repeats[:3], repeats[0][:14]])
    with pytest.raises(InputError, match="nothing to recover"):
        mt.causal_scrub(model, RIGHT, repeats[:4], mt.Probability("elk"))
    with pytest.raises(MetricError, match="reads all positions"):
        mt.causal_scrub(model, RIGHT, repeats[:4], mt.Loss())
    with pytest.raises(MemoryExceeded, match=r"Give fewer or shorter inputs"):
        mt.causal_scrub(model, RIGHT, repeats[:4], budget=1000)
    with pytest.raises(InputError, match="draws is 0"):
        mt.causal_scrub(model, RIGHT, repeats[:4], draws=0)
    with pytest.raises(SiteMissing, match="norms behind its attention"):
        mt.causal_scrub(tiny_model("gemma2"), RIGHT, SHORT)
    many = {"boxes": [{}] * (MOST_BOXES + 1), "arrows": []}
    for damaged in (many, [], {"boxes": 3}, {"boxes": [{"name": 1}], "arrows": []}):
        with pytest.raises(InputError):
            hypothesis_of(damaged)


def test_a_stop_acts_and_tells_how_far_it_was(model: Model, repeats: list[Any]) -> None:
    told = []

    def stop(progress: Any) -> None:
        told.append(progress.title)
        if progress.title == "Scrubbing":
            job.cancel()

    job = Job(stop)
    with pytest.raises(Cancelled):
        mt.causal_scrub(model, RIGHT, repeats[:8], draws=100, job=job)
    assert list(dict.fromkeys(told)) == ["Asking the model", "Running the inputs", "Scrubbing"]
    assert told.count("Scrubbing") == 1
