"""Under the label of a feature: who proposes what, and how well it tells where that is on."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from microtome.features.token_labels import TOKEN_STATISTICS
from microtome_desktop.state.proposals import Proposal
from microtome_desktop.views.elided import ElidedLabel

_PROPOSE_TIP = "Have a label proposed and scored: by token statistics, a local model or a labeller"
_METHOD = (
    "Detection: who knows the label alone tells texts in which the feature is on from texts in "
    "which it is not. The score is the share of them put on the right side"
)


class LabelWorth(QWidget):
    """A line of words and a button to leave a proposal; hidden when there is nothing to say."""

    def __init__(self) -> None:
        super().__init__()
        self.said = ElidedLabel()
        self.said.setObjectName("dim")
        self.reject = QPushButton("Reject")
        self.reject.setObjectName("feature_reject")
        self.reject.setToolTip("Take this proposal away; undo brings it back")
        self.propose = QPushButton("Propose\N{HORIZONTAL ELLIPSIS}")
        self.propose.setObjectName("feature_propose")
        self.propose.setToolTip(_PROPOSE_TIP)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self.said, 1)
        line.addWidget(self.reject)

    def show_worth(self, label: str, proposed: Proposal | None, known: Proposal | None) -> None:
        """Say whose label this is, with its score; of another proposal what it is."""
        told = _told(label, proposed, known)
        self.said.setText(told)
        scored = any(one is not None and one.score is not None for one in (proposed, known))
        self.said.setToolTip(f"{told}\n{_METHOD}" if scored else told)
        stored = proposed is not None and not _plain(proposed)
        self.reject.setVisible(stored and proposed is not None and proposed.text != label)
        self.setVisible(bool(told))


def _plain(proposed: Proposal) -> bool:
    """Whether it is what the tokens always say."""
    return proposed.origin == TOKEN_STATISTICS and proposed.score is None


def _told(label: str, proposed: Proposal | None, known: Proposal | None) -> str:
    parts = []
    if label and known is not None:
        parts.append(" \N{MIDDLE DOT} ".join(filter(None, (known.worth, f"by {known.origin}"))))
    if proposed is not None and proposed.text != label and (not label or not _plain(proposed)):
        said = f"proposed by {proposed.origin}"
        said = f"{said}: {proposed.text}" if label else said
        both = (said, proposed.worth) if label else (proposed.worth, said)
        parts.append(" \N{MIDDLE DOT} ".join(filter(None, both)))
    return " \N{MIDDLE DOT} ".join(parts)
