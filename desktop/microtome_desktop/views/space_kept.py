"""How the feature space is set, as a session keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microtome_desktop.presenters.space import known_colouring
from microtome_desktop.presenters.space_activity import Asked
from microtome_desktop.views.space_grid import MOST_VIEWS

if TYPE_CHECKING:
    from microtome_desktop.views.feature_space_panel import FeatureSpacePanel


def kept_of(panel: FeatureSpacePanel) -> dict[str, Any]:
    """The chosen sites and colouring."""
    by, asked = panel.colouring.by, panel.colouring.asked
    return {
        "active": None if asked is None else asked.kept(),
        "site": panel.site.currentData(),
        "colour": panel.colour_by.currentText() or str(by or ""),
        "sites": [pane.name for pane in panel.panes],
        "linked": panel.bar.linked.isChecked(),
    }


def restore(panel: FeatureSpacePanel, held: dict[str, Any]) -> None:
    """Choose what a session was saved with, where it is offered."""
    sites = held.get("sites")
    known = isinstance(sites, list) and 0 < len(sites) <= MOST_VIEWS
    wanted = sites if known and isinstance(sites, list) else [held.get("site")]
    while len(panel.panes) > len(wanted):
        panel.grid.close_pane(panel.panes[-1])
    while len(panel.panes) < len(wanted):
        panel.add_view()
    for pane, site in zip(panel.panes, wanted, strict=True):
        if isinstance(site, str):
            pane.choose(site)
    if len(wanted) > 1:
        chosen = (pane for pane in panel.panes if pane.name == held.get("site"))
        panel.grid.work_in(next(chosen, panel.panes[0]))
    panel.bar.linked.setChecked(held.get("linked") is not False)
    by = known_colouring(str(held.get("colour")))
    if by is not None:
        panel.bar.offer_colourings([str(by)], str(by))
    panel.colouring.by, panel.colouring.asked = by, Asked.of(held.get("active"))
