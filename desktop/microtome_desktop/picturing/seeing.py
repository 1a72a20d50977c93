"""Scenes of models that see; they stand at the end."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from microtome.prompts import Question
from microtome_desktop.picturing.image_space import images_in_space
from microtome_desktop.picturing.scene import Scene
from microtome_desktop.picturing.stage import Stage
from microtome_desktop.state.albums import album_of

_MODEL, _ANSWER, _WRONG = "shapes-resnet", "cup", "car"


def asked(stage: Stage) -> QWidget:
    """An image of the model's own set, run."""
    stage.clear()
    stage.load(_MODEL)
    seen = stage.desk.library.shelf.facts.seen
    if seen is None:
        raise LookupError(f"{_MODEL} does not see.")
    album = album_of(seen.sets[0])
    stage.front("circuit")
    stage.run(Question(album.image(album.places(_ANSWER)[0]), None, _ANSWER, _WRONG))
    stage.clear()
    return stage.window


SEEING = (
    Scene("seeing", "A model that sees, asked about an image of its set: what it sees, what it "
          "says, and the channels that say so.", asked),
    Scene("image_space", "Feature space of a model that sees: a point an image, and under the "
          "pointer the image itself.", images_in_space, ratio=2),
)  # fmt: skip
