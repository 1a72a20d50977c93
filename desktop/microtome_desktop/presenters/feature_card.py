"""One feature: figures, examples, words and neighbours, as a card tells them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from microtome.records.feature_index import BIN_EDGES, FeatureIndex
from microtome_desktop.presenters.feature_table import FeatureTable, number_text
from microtome_desktop.state.exports import Table
from microtome_desktop.state.features import Labels

_TOP, _OF_EACH, _QUANTILES = 12, 3, 5


@dataclass(frozen=True, slots=True)
class Line:
    """Tokens around one place; ``peak`` is the one that the line is about.

    Activations are shares of the feature's largest; ``value`` is that of the peak as it is.
    """

    tokens: tuple[str, ...]
    shares: tuple[float, ...]
    peak: int
    value: float


@dataclass(frozen=True, slots=True)
class Link:
    """Another feature, and how near it is: a cosine or a share."""

    feature: int
    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a heading."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureCard:
    """All that is shown of a feature.

    ``histogram`` counts positions by activation, in bins of a quarter of a power of 2 whose
    borders are ``edges``. ``tokens``, ``raised`` and ``lowered`` are words with a number.
    """

    feature: int
    figures: str
    proposed: str
    histogram: Int[np.ndarray, " bin"]
    edges: Float[np.ndarray, " border"]
    tokens: tuple[tuple[str, float], ...]
    raised: tuple[tuple[str, float], ...]
    lowered: tuple[tuple[str, float], ...]
    alike: tuple[Link, ...]
    together: tuple[Link, ...]
    sections: tuple[Section, ...]

    @property
    def nbytes(self) -> int:
        """What it takes in memory, about."""
        return 20_000


def feature_card(table: FeatureTable, feature: int, labels: Labels) -> FeatureCard:
    """The card of a feature; reads its rows alone where a file holds them."""
    index = table.index
    counts = index.row("histogram", feature)
    used = np.flatnonzero(counts)
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    borders = np.concatenate([[0.0], BIN_EDGES, [np.inf]])
    return FeatureCard(
        feature, _figures(table, feature), table.proposed[feature], counts[first:last],
        borders[first : last + 1],
        _words(table, feature, "token", "token_share"),
        _words(table, feature, "raised", "raised_by"),
        _words(table, feature, "lowered", "lowered_by"),
        _links(table, feature, "alike", "alike_cosine", labels),
        _links(table, feature, "together", "together_share", labels),
        _sections(table, feature),
    )  # fmt: skip


def _figures(table: FeatureTable, feature: int) -> str:
    held = {key: float(column[feature]) for key, column in table.figures.items()}
    if not held["rate"]:
        return f"silent in all {table.index.n_positions:,} positions"
    told = {key: number_text(key, value) for key, value in held.items()}
    return (
        f"on at {told['rate']} % of {table.index.n_positions:,} positions · mean {told['mean']} · "
        f"peak {told['peak']} · {told['purity']} % of it on one token"
    )


def _words(table: FeatureTable, feature: int, name: str, by: str) -> tuple[tuple[str, float], ...]:
    tokens, values = table.index.row(name, feature), table.index.row(by, feature)
    held = zip(tokens.tolist(), values.tolist(), strict=True)
    return tuple((table.word(token), value) for token, value in held if token >= 0)


def _links(
    table: FeatureTable, feature: int, name: str, by: str, labels: Labels
) -> tuple[Link, ...]:
    numbers, values = table.index.row(name, feature), table.index.row(by, feature)
    return tuple(
        Link(number, value, labels.get(number) or table.proposed[number])
        for number, value in zip(numbers.tolist(), values.tolist(), strict=True)
        if number >= 0
    )


def _sections(table: FeatureTable, feature: int) -> tuple[Section, ...]:
    """The strongest places, then some of each fifth of the range, the strongest fifth first."""
    index = table.index
    peak = max(float(table.figures["peak"][feature]), 1e-12)
    top = _lines(table, index, feature, "top", peak)[:_TOP]
    found = [Section("Strongest in the text", top)] if top else []
    some = _lines(table, index, feature, "some", peak)
    for step in range(_QUANTILES, 0, -1):
        low, high = (step - 1) / _QUANTILES, step / _QUANTILES
        inside = [line for line in some if low < line.value / peak <= high + 1e-6]
        if inside:
            title = f"{100 * low:.0f}\N{EN DASH}{100 * high:.0f} % of its peak"
            found.append(Section(title, tuple(inside[:_OF_EACH])))
    return tuple(found)


def _lines(
    table: FeatureTable, index: FeatureIndex, feature: int, kind: str, peak: float
) -> tuple[Line, ...]:
    places: NDArray[np.int64] = index.row(f"{kind}_place", feature)
    values = index.row(f"{kind}_value", feature)
    windows = index.row(f"{kind}_window", feature)
    order = np.argsort(-values, kind="stable")
    return tuple(
        _line(table, int(places[each]), float(values[each]), windows[each], peak)
        for each in order
        if places[each] >= 0
    )


def _line(
    table: FeatureTable, place: int, value: float, window: NDArray[np.float32], peak: float
) -> Line:
    row, position = divmod(place, table.index.context)
    near = table.index.near
    columns = np.arange(position - near, position + near + 1)
    inside = (columns >= 0) & (columns < table.index.context) & (window >= 0)
    ids = table.tokens[row, columns[inside]]
    return Line(
        tuple(table.word(int(each)) for each in ids),
        tuple(float(each) / peak for each in window[inside]),
        int(inside[:near].sum()),
        value,
    )


def card_table(card: FeatureCard, label: str, note: str = "") -> Table:
    """The card as rows: what, text, number."""
    rows: list[tuple[str, str, float | int | None]] = [
        ("feature", "", card.feature), ("label", label, None), ("note", note, None),
        ("figures", card.figures, None),
    ]  # fmt: skip
    for name, words in (
        ("token", card.tokens), ("raised", card.raised), ("lowered", card.lowered),
    ):  # fmt: skip
        rows += [(name, word, value) for word, value in words]
    for name, links in (("alike", card.alike), ("together", card.together)):
        rows += [(name, f"{link.feature} {link.label}".strip(), link.value) for link in links]
    for low, count in zip(card.edges[:-1].tolist(), card.histogram.tolist(), strict=True):
        rows.append((f"positions above {low:.4g}", "", count))
    for section in card.sections:
        rows += [(section.title, _marked(line), line.value) for line in section.lines]
    return Table(("what", "text", "number"), rows)


def _marked(line: Line) -> str:
    tokens = (f"[{t}]" if at == line.peak else t for at, t in enumerate(line.tokens))
    return " ".join(tokens)
