"""What panels have made by a worker and then keep themselves."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from microtome_desktop.jobs.space_requests import Prepare
from microtome_desktop.views.panel import PanelContext


def prepared_by(context: PanelContext) -> Callable[[Hashable, Callable[[], Any]], Any]:
    """What gives a thing under its key once a worker has made it, and asks for it before.

    ``workspace.prepared.arrived`` tells when; whoever asks then keeps it.
    """
    prepared = context.workspace.prepared

    def take(key: Hashable, make: Callable[[], Any]) -> Any:
        held = prepared.take(key)
        if held is None and prepared.wants(key):
            context.ask(Prepare(key, make))
        return held

    return take
