"""The colours of the window, named by what they mean (the dark theme)."""

from __future__ import annotations

WINDOW, CARD, RAISED, LINE = "#0f1216", "#161a20", "#1d222a", "#272d37"
SELECTED = "#2a4266"  # behind a chosen line
TEXT, TEXT_DIM, TEXT_FAINT = "#d7dce4", "#8a93a3", "#5b6473"
ACCENT, WARM = "#6ea8fe", "#f2a65a"
EXCITES, INHIBITS = "#6ea8fe", "#f2795a"
GOOD, BAD = "#57c785", "#ef6a6a"
TOKEN, HEAD, MLP, OUTPUT = "#57c7b8", "#f2a65a", "#b58cf5", "#d7dce4"
GROUP = "#e58fc3"  # nodes that the user put together

# Signed effects run through the card's own colour, so that zero disappears.
SIGNED_STOPS = ((0.0, INHIBITS), (0.5, CARD), (1.0, EXCITES))
DIMMED = 0.22  # opacity of everything off the selected path
