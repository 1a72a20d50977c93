"""Which features of a dictionary are on in the run on screen, for any panel that shows it."""

from __future__ import annotations

from microtome.records.run_codes import RunCodes
from microtome_desktop.jobs.feature_requests import EncodeRun, run_key
from microtome_desktop.views.panel import PanelContext


def run_codes(context: PanelContext, fingerprint: str, *, ask: bool = True) -> RunCodes | None:
    """The codes of the run on screen, None while they are computed or where they cannot be.

    ``workspace.prepared.arrived`` tells when they have come.
    """
    workspace = context.workspace
    run = None if workspace.session is None else workspace.session.clean
    if run is None or not fingerprint:
        return None
    key = run_key(fingerprint, run)
    held = workspace.prepared.get(key)
    if isinstance(held, RunCodes):
        return held
    able = not workspace.offline and context.dictionaries.holds(fingerprint)
    if ask and able and workspace.prepared.wants(key):
        context.ask(EncodeRun(fingerprint, run))
    return None


def why_no_codes(context: PanelContext, fingerprint: str) -> str:
    """Why they cannot be computed, empty when they can."""
    if context.workspace.offline:
        return "Needs the session's model: attach it."
    if not context.dictionaries.holds(fingerprint):
        return "Open the dictionary again to see where it is on in the prompt."
    return ""
