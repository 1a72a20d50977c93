"""``python -m microtome_desktop.picturing [DOCS]`` makes the pictures of the documentation.

Writes ``pictures/{dark,light}/*.png`` and ``pictures.md`` into the folder, ``docs`` when none is
given. Needs a screen; one in memory will do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QEventLoop, QTimer

from microtome.errors import InputError, StorageError
from microtome_desktop.application import make_application
from microtome_desktop.picturing.colours import write_small
from microtome_desktop.picturing.page import DARK, LIGHT, page
from microtome_desktop.picturing.scenes import SCENES
from microtome_desktop.picturing.stage import Stage, picture
from microtome_desktop.screen import has_screen
from microtome_desktop.views.fonts import text_font
from microtome_desktop.wiring import Opening

_PATIENCE_MS = 120_000


def main() -> int:
    """Make all pictures, and the page that shows them."""
    docs = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs")
    if not docs.is_dir():
        raise InputError(f"There is no folder {docs}.", "Name the folder of the documentation.")
    if not has_screen():
        raise InputError("There is no screen here.", "Start it by `make pictures`.")
    application = make_application(sys.argv[:1])
    application.setFont(text_font())
    opening, waiting = Opening(None, None), QEventLoop()
    opening.settled.connect(waiting.quit)
    QTimer.singleShot(_PATIENCE_MS, waiting.quit)
    opening.window.show()
    waiting.exec()
    if opening.workbench is None:
        raise InputError("The window did not open.", "Try again when the machine is less busy.")
    stage = Stage(opening.workbench)
    for path in pictures(stage, docs / "pictures"):
        sys.stdout.write(f"{path}\n")
    (docs / "pictures.md").write_text(page(), "utf-8")
    stage.desk.workspace.mark_clean()
    opening.close()
    opening.window.close()
    return 0


def pictures(stage: Stage, folder: Path, only: tuple[str, ...] = ()) -> Iterator[Path]:
    """Set every scene in both themes and write what it shows; gives each path as it is written.

    ``only`` names the scenes to write; all are set, because each finds what the one before left.
    Raises StorageError when a picture cannot be written.
    """
    for theme in (DARK, LIGHT):
        stage.desk.settings.theme = theme
        stage.rest()
        (folder / theme).mkdir(parents=True, exist_ok=True)
        for scene in SCENES:
            shown = scene.set(stage)
            if only and scene.name not in only:
                continue
            path = folder / theme / f"{scene.name}.png"
            try:
                write_small(picture(shown, scene.ratio), path)
            except OSError as error:
                raise StorageError(f"{path} could not be written: {error}.") from error
            yield path


if __name__ == "__main__":
    raise SystemExit(main())
