"""What the commands about images do; files go to the core by their paths, never through Qt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QIODevice, QMimeData, QObject
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog

from microtome_desktop.commands.command import CommandId, Situation
from microtome_desktop.commands.table import command
from microtome_desktop.jobs.file_requests import SESSIONS
from microtome_desktop.jobs.image_requests import OpenImage, OpenImages
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.main_window import MainWindow

if TYPE_CHECKING:
    from microtome_desktop.views.album_picker import AlbumPicker
    from microtome_desktop.views.panel import Panel

_ID = CommandId
_ASK = "ask"  # the panel of the question
_ENDINGS = frozenset(
    {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".avif"}
)
_FILTER = f"Images ({' '.join(f'*{one}' for one in sorted(_ENDINGS))});;All files (*)"
# Bytes of a file as another program has put them there, the most exact first.
_FORMS = (
    "image/png", 'application/x-qt-windows-mime;value="PNG"', "image/tiff", "image/bmp",
    "image/webp", "image/gif", "image/jpeg",
)  # fmt: skip


def is_image_file(path: Path) -> bool:
    """Whether a file is an image by its ending."""
    return path.suffix.lower() in _ENDINGS and not path.is_dir()


class ImageCommands(QObject):
    """Brings images from files, folders, drops and the clipboard into the question."""

    def __init__(
        self, window: MainWindow, desk: Desk, runner: JobRunner, panels: dict[str, Panel]
    ) -> None:
        super().__init__(window)
        self._window, self._desk, self._runner, self._panels = window, desk, runner, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            _ID.OPEN_IMAGE: self.open_image,
            _ID.OPEN_IMAGE_FOLDER: self.open_folder,
            _ID.PASTE_IMAGE: self.paste,
            _ID.NEXT_IMAGE: lambda: self._with_picker(lambda picker: picker.step(1)),
            _ID.PREVIOUS_IMAGE: lambda: self._with_picker(lambda picker: picker.step(-1)),
            _ID.RANDOM_IMAGE: lambda: self._with_picker(lambda picker: picker.any_one()),
        }

    def open_image(self) -> None:
        """Choose files; one is asked about, several are a set to choose from."""
        start = self._desk.settings.folder
        chosen, _ = QFileDialog.getOpenFileNames(self._window, "Open image", start, _FILTER)
        self._open([Path(path) for path in chosen])

    def open_folder(self) -> None:
        """Choose a folder, and look through its images."""
        start = self._desk.settings.folder
        chosen = QFileDialog.getExistingDirectory(self._window, "Open folder of images", start)
        if chosen:
            self._open([Path(chosen)])

    def takes(self, paths: list[str]) -> bool:
        """Whether what is dropped is images: files by their endings, or a folder of no model.

        Where a model sees, any one file that is no session; reading it says what it is instead.
        """
        held = [Path(path) for path in paths]
        if all(is_image_file(path) for path in held):
            return True
        if len(held) != 1 or not self._desk.draft.text.sees:
            return False
        if held[0].is_dir():
            return not (held[0] / "config.json").exists()
        return held[0].suffix.lower() not in SESSIONS

    def open_dropped(self, paths: list[str]) -> None:
        """Ask about what was dropped; without a model that sees, say what is missing."""
        if self._may_drop():
            self._open([Path(path) for path in paths])

    def take_dropped(self, held: QMimeData) -> None:
        """Ask about an image that another program has dropped, or say why it cannot be."""
        data = bytes_of(held, own=False)
        if not data:
            self._desk.notices.warn(*_why_not(held))
        elif self._may_drop():
            self._ask_of(data)

    def _may_drop(self) -> bool:
        reason = command(_ID.OPEN_IMAGE).blocked(Situation(self._desk))
        if reason:
            self._desk.notices.warn("An image was dropped, but no model is open that sees", reason)
        return not reason

    def _ask_of(self, data: bytes) -> None:
        self._window.show_panel(_ASK)
        self._runner.ask(OpenImage(data=data, corrupt=self._desk.albums.corrupt))

    def paste(self) -> None:
        """Ask about the image, or the files, on the clipboard."""
        clipboard = QGuiApplication.clipboard()
        held = clipboard.mimeData()
        paths = [Path(url.toLocalFile()) for url in held.urls() if url.isLocalFile()]
        if paths:
            self._open(paths)
            return
        data = bytes_of(held, own=clipboard.ownsClipboard())
        if data:
            self._ask_of(data)
        elif held.hasUrls():
            self._desk.notices.warn(*_why_not(held))
        else:
            self._desk.notices.warn(
                "There is no image on the clipboard",
                "What is there is no image, or in a form that only its own program reads.",
                "Copy an image or an image file, or save it and drop the file onto the window.",
            )

    def _open(self, paths: list[Path]) -> None:
        if not paths:
            return
        self._desk.settings.folder = str(paths[0].parent)
        corrupt = self._desk.albums.corrupt
        self._window.show_panel(_ASK)  # what comes must be seen, whatever was in front
        if len(paths) == 1 and not paths[0].is_dir():
            self._runner.ask(OpenImage(paths[0], corrupt=corrupt))
        else:
            self._runner.ask(OpenImages(tuple(paths), corrupt=corrupt))

    def _with_picker(self, act: Callable[[AlbumPicker], None]) -> None:
        from microtome_desktop.views.ask_panel import AskPanel

        ask = self._panels.get(_ASK)
        if isinstance(ask, AskPanel):
            act(ask.prompt.images.picker)


def _why_not(held: QMimeData) -> tuple[str, str, str]:
    """Of what is no file to open and no image: title, reason and way out."""
    urls = held.urls()
    if not urls:
        return (
            "This image cannot be taken",
            "It is in a form that only its own program reads.",
            "Save it, and drop the file onto the window.",
        )
    remote = next((url for url in urls if not url.isLocalFile()), None)
    if remote is not None:
        return (
            "This is an address, not a file",
            f"{remote.toDisplayString()[:200]} is not on this machine, and no image is fetched.",
            "Save the image, and drop its file onto the window.",
        )
    return (
        f"These {len(urls)} files cannot be opened together",
        "Several are taken where all of them are images, or all are graph files.",
        "Drop one file, one folder, or images alone.",
    )


def bytes_of(held: QMimeData, *, own: bool) -> bytes:
    """The bytes of an image file on the clipboard, empty without any.

    Only pixels that this program has put there itself are encoded by Qt; it decodes nothing.
    """
    forms = held.formats()
    for form in _FORMS:
        if form in forms and (data := bytes(held.data(form).data())):
            return data
    picture = held.imageData() if own and held.hasImage() else None
    if not isinstance(picture, QImage):
        return b""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")  # type: ignore[call-overload]
    return bytes(buffer.data().data())
