"""Labels by token statistics: what carries a feature, in a few tokens; without a model or torch.

One rule for a card and for all features of an index, where it is computed on columns: a card of
each of 100,000 features would take minutes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from microtome.errors import expect
from microtome.jobs import Job, job_or_default
from microtome.records.feature_card import FeatureCard
from microtome.records.feature_index import NONE, FeatureIndex
from microtome.records.feature_labels import LabelSet

TOKEN_STATISTICS = "token statistics"
_PURE, _COVERED, _MOST_TOKENS, _RAISED, _EXAMPLES = 0.6, 0.8, 4, 3, 3
_ENTRIES = 1 << 21  # tokens of examples that are in memory at once
_ODD = 0x9E3779B97F4A7C15  # powers of it tell sequences of tokens apart
_QUOTED = re.compile("“(.+?)”", re.DOTALL)
_AFTER = re.compile("^“(.+?)” after “(.+?)”$", re.DOTALL)


def propose_label(card: FeatureCard) -> str:
    """A label by token statistics: the token or tokens that carry a feature, and what it raises.

    ``“to” after “went”`` where both are the same nearly always; ``“Mary”, “John”`` where few
    tokens carry four fifths of its activation; else what comes before, or what it raises. Empty
    for a feature that is never on.
    """
    expect(card, FeatureCard, "card", "a FeatureCard", "feature_card makes one.")
    if card.dead:
        return ""
    fresh = [one for one in card.top if not one.repeated]
    befores = [one.tokens[one.peak - 1] if one.peak else "" for one in fresh]
    best = max(set(befores), key=befores.count) if len(befores) >= _EXAMPLES else ""
    before = best if befores.count(best) >= _COVERED * len(befores) else ""
    return _said(
        [word.text for word in card.tokens], [word.value for word in card.tokens], before,
        [word.text for word in card.raised],
    )  # fmt: skip


def token_labels(index: FeatureIndex, *, job: Job | None = None) -> tuple[str, ...]:
    """What ``propose_label`` says of each feature, empty where it says nothing."""
    job = job_or_default(job)
    expect(index, FeatureIndex, "index", "a FeatureIndex", "feature_index makes one of a text.")
    names = [str(name) for name in index.array("vocabulary").tolist()]
    tokens, shares = index.array("token"), index.array("token_share").astype(np.float64)
    raised, alive = index.array("raised"), index.array("count") > 0
    before = _befores(index, names, job)
    found = []
    for row, (ids, on) in enumerate(zip(tokens, alive.tolist(), strict=True)):
        held = ids >= 0
        found.append(
            _said(
                [names[each] for each in ids[held]], shares[row][held].tolist(), before[row],
                [names[each] for each in raised[row][:_RAISED] if each >= 0],
            ) if on else ""
        )  # fmt: skip
    return tuple(found)


def propose_labels(index: FeatureIndex, *, job: Job | None = None) -> LabelSet:
    """Labels of all features that are on in a text, by token statistics."""
    held = enumerate(token_labels(index, job=job))
    named = {feature: text for feature, text in held if text}
    return LabelSet.of(str(index.params["fingerprint"]), TOKEN_STATISTICS, named)


class TokenLabeller:
    """Token statistics as a ``Labeller``: knows a label by the tokens that it quotes.

    A text that holds one of them as a word is surer than one that holds its letters; of a label
    such as ``“to” after “went”`` only both together count. A label without quotes is its words.
    """

    def propose(self, card: FeatureCard) -> str:
        """What ``propose_label`` says."""
        return propose_label(card)

    def detect(self, label: str, texts: Sequence[str]) -> Float[np.ndarray, " text"]:
        """1 for a text with the tokens as words, 1/2 with their letters, 0 without."""
        if match := _AFTER.match(label):
            wanted = [rf"{re.escape(match[2])}\s*{re.escape(match[1])}"]
        else:
            wanted = [re.escape(one) for one in _QUOTED.findall(label) or label.split()]
        sure = [
            max((_seen(one, text) for one in wanted), default=0.0) for text in texts
        ]  # fmt: skip
        return np.array(sure, np.float64)


def _seen(pattern: str, text: str) -> float:
    if re.search(rf"(?<!\w){pattern}(?!\w)", text):
        return 1.0
    return 0.5 if re.search(pattern, text) else 0.0


def _said(
    tokens: Sequence[str], shares: Sequence[float], before: str, raised: Sequence[str]
) -> str:
    """The rule: tokens with their shares of the activation, the token before, what is raised."""
    if shares and shares[0] >= _PURE:
        return _quoted(tokens[0]) + (f" after {_quoted(before)}" if before else "")
    few = int(np.searchsorted(np.cumsum(shares), _COVERED)) + 1
    if few <= min(_MOST_TOKENS, len(tokens)):
        return ", ".join(map(_quoted, tokens[:few]))
    if before:
        return f"after {_quoted(before)}"
    return f"raises {', '.join(map(_quoted, raised[:_RAISED]))}" if raised else ""


def _quoted(text: str) -> str:
    return f"“{text.strip() or repr(text)[1:-1]}”"


def _befores(index: FeatureIndex, names: Sequence[str], job: Job) -> list[str]:
    """Of each feature the token before its peak, where it is the same in four of five examples."""
    kinds, kind = np.unique(np.array(["", *names], np.str_), return_inverse=True)
    of_token = kind.reshape(-1)[1:]  # tokens that read the same are the same
    text = index.array("tokens")
    features, examples, near = index.arrays["top_window"].shape
    step = max(1, _ENTRIES // max(1, examples * near))
    found: list[str] = []
    for start in range(0, features, step):
        job.progress("Labels by tokens", start, features)
        place = np.asarray(index.arrays["top_place"][start : start + step])
        window = np.asarray(index.arrays["top_window"][start : start + step])
        found += [str(kinds[each]) for each in _common(place, window, text, of_token)]
    return found


def _common(
    place: Int[np.ndarray, "feature example"],
    window: Float[np.ndarray, "feature example near"],
    text: Int[np.ndarray, "row position"],
    of_token: Int[np.ndarray, " token"],
) -> Int[np.ndarray, " feature"]:
    """The kind of token that comes before, 0 (the empty one) where there is no such."""
    long, half = text.shape[1], window.shape[2] // 2
    row, position = np.divmod(np.maximum(place, 0), long)
    column = position[..., None] + np.arange(-half, half + 1)
    inside = (column >= 0) & (column < long) & (window != NONE) & (place >= 0)[..., None]
    ids = of_token[text[row[..., None], np.clip(column, 0, long - 1)]] + 1
    rank = np.cumsum(inside, axis=2) - 1
    with np.errstate(over="ignore"):  # a hash of the tokens, wherever the example begins
        powers = np.uint64(_ODD) ** np.arange(1, 2 * half + 2, dtype=np.uint64)
        said = (np.where(inside, ids, 0).astype(np.uint64) * powers[np.maximum(rank, 0)]).sum(2)
    same = said[:, :, None] == said[:, None, :]
    earlier = np.tril(np.ones(same.shape[1:], bool), -1)
    fresh = (place >= 0) & ~(same & earlier & (place >= 0)[:, None, :]).any(2)
    lies = inside[..., :half]
    last = half - 1 - np.argmax(lies[..., ::-1], axis=2)
    at = np.take_along_axis(ids[..., :half], last[..., None], 2)[..., 0] - 1
    before = np.where(lies.any(2), at, 0)
    count = ((before[:, :, None] == before[:, None, :]) & fresh[:, None, :]).sum(2)
    count = np.where(fresh, count, 0)
    many, best = fresh.sum(1), count.argmax(1)
    most = np.take_along_axis(count, best[:, None], 1)[:, 0]
    told = np.take_along_axis(before, best[:, None], 1)[:, 0]
    return np.where((many >= _EXAMPLES) & (most >= _COVERED * many), told, 0)
