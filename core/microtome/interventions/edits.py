"""Edits: what to change while a model runs.

An edit is a value. ``trace(model, prompt, edits=[…])`` applies edits in the order given, leaves
the weights alone and forgets them afterwards (docs/interventions.md).
"""

from __future__ import annotations

from microtome.interventions.ablate import Ablate
from microtome.interventions.patch import Patch, PromptPatch
from microtome.interventions.steer import Steer

__all__ = ["Ablate", "Patch", "PromptPatch", "Steer"]
