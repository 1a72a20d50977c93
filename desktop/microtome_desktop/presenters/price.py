"""The price of the edits as lines of a table: what each task gets right without and with them."""

from __future__ import annotations

from dataclasses import dataclass

from microtome.records.price import EDIT_PRICE, EditPrice, price_of
from microtome.records.session import Session
from microtome_desktop.state.exports import Table

NO_PRICE = "No price was taken yet: press Take the price in the tab Price."
OTHER_EDITS = "The edits are others now: take the price again."
_HEADERS = (
    "prompt set", "title", "pairs", "left out", "right without", "right with", "top without",
    "top with", "difference without", "difference with",
)  # fmt: skip
_DEAR = 0.02  # a share of pairs that is lost


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One task. Pairs of numbers are without, with the edits; None while it is not run."""

    title: str
    pairs: int
    right: tuple[float, float] | None
    top: tuple[float, float] | None
    difference: tuple[float, float] | None
    note: str = ""  # why pairs were left out

    @property
    def dear(self) -> bool:
        """Whether the edits make it wrong noticeably more often."""
        return self.right is not None and self.right[0] - self.right[1] >= _DEAR


def price_in(session: Session | None) -> EditPrice | None:
    """The price that a session holds."""
    held = None if session is None else session.analyses.get(EDIT_PRICE)
    return None if held is None else price_of(held)


def price_lines(price: EditPrice | None) -> tuple[PriceLine, ...]:
    """A line for each task; once all are there, those that lose most stand first."""
    if price is None:
        return ()
    lines = [_line(price, row) for row in range(len(price.names))]
    return tuple(sorted(lines, key=_loss, reverse=True) if price.complete else lines)


def _loss(line: PriceLine) -> tuple[float, float]:
    """Shares of pairs that are lost: right and top."""
    right, top = (0.0 if share is None else share[0] - share[1] for share in (line.right, line.top))
    return right, top


def _line(price: EditPrice, row: int) -> PriceLine:
    count, without = int(price.pairs[row]), int(price.left_out[row])
    right, top, difference = (
        (float(values[row, 0]), float(values[row, 1])) if count else None
        for values in (price.right, price.top, price.difference)
    )
    note = price.notes.get(price.names[row], "")
    told = f"{without} of {without + count} pairs were left out. {note}" if without else ""
    return PriceLine(price.titles[row], count, right, top, difference, told)


def price_text(session: Session | None, price: EditPrice | None) -> str:
    """Which edits a price is of, and whether they are those that act."""
    if price is None:
        return ""
    now = () if session is None or session.edited is None else session.edited.edits
    told = f"Of: {'; '.join(price.edits)}"
    return told if now == price.edits else f"Of edits as they were before. {told}"


def price_table(price: EditPrice) -> Table:
    """All of it at full precision."""
    rows = [
        (
            price.names[row], price.titles[row], int(price.pairs[row]), int(price.left_out[row]),
            *(float(v) for held in (price.right, price.top, price.difference) for v in held[row]),
        )
        for row in range(len(price.names))
    ]  # fmt: skip
    return Table(_HEADERS, rows)
