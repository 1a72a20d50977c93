"""Embedded models, prompt sets, texts, dictionaries, images, icons: data, and the paths to it."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

__all__ = [
    "START_EXAMPLE",
    "EmbeddedModel",
    "Example",
    "checkpoints",
    "dictionary_names",
    "dictionary_path",
    "embedded_model",
    "icon_paths",
    "image_set_names",
    "image_set_path",
    "model_names",
    "model_path",
    "prompt_set_names",
    "prompt_set_path",
    "sees",
    "share_path",
    "text_names",
    "text_path",
]

_ROOT: Final = Path(__file__).resolve().parent
_MODELS: Final = _ROOT / "models"
_PROMPTS: Final = _ROOT / "prompts"
_TEXTS: Final = _ROOT / "texts"
_DICTIONARIES: Final = _ROOT / "dictionaries"
_IMAGES: Final = _ROOT / "images"
_SHARE: Final = _ROOT / "share"
_WEIGHTS: Final = "model.safetensors"


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """An embedded model: its name, its folder and the weights to load with it.

    For a checkpoint the configuration and the tokenizer come from ``folder`` and
    only ``weights`` differ. ``checkpoint`` is the training step, or None for the
    finished model.
    """

    name: str
    folder: Path
    weights: Path
    checkpoint: int | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt pair for a model, with its answer and the wrong answer."""

    model: str
    clean: str
    corrupt: str
    answer: str
    wrong: str


START_EXAMPLE: Final = Example(
    model="words-4l",
    clean="When Mary and John went to the store, John gave a drink to",
    corrupt="When Mary and John went to the store, Mary gave a drink to",
    answer="Mary",
    wrong="John",
)


@cache
def model_names() -> tuple[str, ...]:
    """Return the names of the finished embedded models, without their checkpoints."""
    return tuple(sorted(path.parent.name for path in _MODELS.glob(f"*/{_WEIGHTS}")))


def _known(name: str) -> str:
    if name not in model_names():
        listed = ", ".join(model_names())
        raise ValueError(f"No embedded model is called {name!r}; there are {listed}.")
    return name


@cache
def checkpoints(name: str) -> tuple[int, ...]:
    """Return the training steps at which a model was kept, in order; empty for most.

    Raises ValueError for an unknown name.
    """
    kept = (_MODELS / _known(name) / "checkpoints").glob(f"*/{_WEIGHTS}")
    return tuple(sorted(int(path.parent.name) for path in kept))


def embedded_model(name: str) -> EmbeddedModel:
    """Return where ``name`` lies; ``name@step`` is a checkpoint along training.

    Raises ValueError, which lists what there is, for an unknown name or step.
    """
    base, at, step = name.partition("@")
    folder = _MODELS / _known(base)
    if not at:
        return EmbeddedModel(name, folder, folder / _WEIGHTS)
    kept = checkpoints(base)
    if step not in map(str, kept):
        listed = ", ".join(map(str, kept)) or "none"
        raise ValueError(f"{base} has no checkpoint {step!r}; its checkpoints are {listed}.")
    return EmbeddedModel(name, folder, folder / "checkpoints" / step / _WEIGHTS, int(step))


def model_path(name: str) -> Path:
    """Return the folder with the configuration and tokenizer of an embedded model.

    It holds the finished weights too; those of a checkpoint are the ``weights`` of
    `embedded_model`. Raises ValueError for an unknown name.
    """
    return embedded_model(name).folder


@cache
def sees(name: str) -> bool:
    """Return whether an embedded model reads images. Raises ValueError for an unknown name."""
    return (model_path(name) / "preprocessor_config.json").is_file()


@cache
def prompt_set_names(model: str | None = None) -> tuple[str, ...]:
    """Return the names of all prompt sets, or of those made for one model."""
    names = sorted(path.stem for path in _PROMPTS.glob("*.json"))
    if model is None:
        return tuple(names)
    base = _known(model.partition("@")[0])
    return tuple(name for name in names if _made_for(_PROMPTS / f"{name}.json") == base)


def _made_for(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8"))["model"]


def prompt_set_path(name: str) -> Path:
    """Return the JSON file of a prompt set.

    It is an object with ``name``, ``title``, ``model``, ``description``, ``source``
    and ``pairs``; each pair has ``clean``, ``corrupt``, ``answer`` and ``wrong``.
    Raises ValueError, which lists what there is, for an unknown name.
    """
    if name not in prompt_set_names():
        listed = ", ".join(prompt_set_names())
        raise ValueError(f"No prompt set is called {name!r}; there are {listed}.")
    return _PROMPTS / f"{name}.json"


@cache
def image_set_names(model: str | None = None) -> tuple[str, ...]:
    """Return the names of all image sets, or of those made for one model."""
    found = {path.parent.name: path for path in _IMAGES.glob("*/set.json")}
    if model is not None:
        base = _known(model.partition("@")[0])
        found = {name: path for name, path in found.items() if _made_for(path) == base}
    return tuple(sorted(found))


def image_set_path(name: str) -> Path:
    """Return the folder of an image set.

    ``images.safetensors`` holds ``images``, uint8 [image, row, column, channel], and
    ``labels`` [image]; ``set.json`` has ``name``, ``title``, ``model``, ``classes``,
    ``domains`` (one a class), ``source`` and ``note``.
    Raises ValueError, which lists what there is, for an unknown name.
    """
    if name not in image_set_names():
        listed = ", ".join(image_set_names())
        raise ValueError(f"No image set is called {name!r}; there are {listed}.")
    return _IMAGES / name


@cache
def dictionary_names(model: str | None = None) -> tuple[str, ...]:
    """Return the names of all dictionaries, or of those of one model: ``words-4l/transcoders``."""
    base = "*" if model is None else _known(model.partition("@")[0])
    folders = {path.parent for path in _DICTIONARIES.glob(f"{base}/*/README.md")}
    return tuple(sorted(f"{path.parent.name}/{path.name}" for path in folders))


def dictionary_path(name: str) -> Path:
    """Return the folder of a dictionary, in the format that its card names.

    Raises ValueError, which lists what there is, for an unknown name.
    """
    if name not in dictionary_names():
        listed = ", ".join(dictionary_names())
        raise ValueError(f"No dictionary is called {name!r}; there are {listed}.")
    return _DICTIONARIES / name


@cache
def text_names() -> tuple[str, ...]:
    """Return the names of the texts, each that of the model which it is for."""
    return tuple(sorted(path.stem for path in _TEXTS.glob("*.txt")))


def text_path(name: str) -> Path:
    """Return a text file, a document a line, of what the model of that name was trained on.

    Raises ValueError, which lists what there is, for an unknown name.
    """
    if name not in text_names():
        listed = ", ".join(text_names())
        raise ValueError(f"No text is called {name!r}; there are {listed}.")
    return _TEXTS / f"{name}.txt"


def share_path() -> Path:
    """Return the folder of desktop entry, icons and type of sessions, laid out as /usr/share."""
    return _SHARE


def icon_paths() -> tuple[Path, ...]:
    """Return the icon's pictures, from small to large."""
    found = _SHARE.glob("icons/hicolor/*/apps/microtome.png")
    return tuple(sorted(found, key=lambda path: int(path.parts[-3].partition("x")[0])))
