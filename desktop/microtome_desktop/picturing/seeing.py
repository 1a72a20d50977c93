"""Scenes of models that see; they stand at the end, and the first one loads the model."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from microtome.prompts import Question
from microtome_desktop.picturing.scene import Scene
from microtome_desktop.picturing.stage import Stage
from microtome_desktop.state.albums import album_of

_MODEL, _CLEAN, _CORRUPT = "shapes-resnet", "cup", "car"


def asked(stage: Stage) -> QWidget:
    """A pair of images of the model's own set, run."""
    stage.clear()
    stage.load(_MODEL)
    seen = stage.desk.library.shelf.facts.seen
    if seen is None:
        raise LookupError(f"{_MODEL} does not see.")
    album = album_of(seen.sets[0])
    first, second = (album.image(album.places(word)[0]) for word in (_CLEAN, _CORRUPT))
    stage.run(Question(first, second, _CLEAN, _CORRUPT))
    stage.clear()
    return stage.window


SEEING = (
    Scene("seeing", "A model that sees, asked with two images of its set: what it sees of them, "
          "and what it says.", asked),
)  # fmt: skip
