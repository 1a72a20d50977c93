"""What the child that looks at a dictionary checks: settings, headers, pickles; no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from microtome.errors import (
    DictionaryError,
    ModelDamaged,
    PickleError,
    UnsafeDictionary,
    UnsafePickle,
)
from microtome.features.formats import npz
from microtome.features.formats.yaml_text import parse_yaml
from microtome.models.weights import read_header
from microtome.pickles.torch_files import load_torch
from microtome.triage.plain_json import MOST_BYTES, read_plain

SETTINGS = ("cfg.json", "config.json", "hyperparams.json", "config.yaml", "ae.pt")
WEIGHTS = (".safetensors", ".npz")
BENEATH = ("checkpoints/final.safetensors",)
_COPY = "Copy or download the file again."


def examine(paths: Sequence[Path]) -> None:
    """Check each file by what it is. Raises DictionaryError and UnsafeDictionary."""
    for path in paths:
        look = _LOOKS.get(path.suffix)
        if look is None or not path.is_file():
            continue
        try:
            look(path)
        except UnsafePickle as error:
            raise UnsafeDictionary(f"{path.name}: {error.what}", error.way_out) from error
        except (PickleError, ModelDamaged) as error:
            raise DictionaryError(f"{path.name}: {error.what}", _COPY) from error
        except ValueError as error:
            raise DictionaryError(f"{path.name} {error}.", _COPY) from error
        except OSError as error:
            reason = error.strerror or error
            raise DictionaryError(f"{path.name} cannot be read ({reason}).", _COPY) from error


def _yaml(path: Path) -> None:
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"has more than {MOST_BYTES >> 20} MB")
    parse_yaml(path.name, path.read_bytes())


_LOOKS: dict[str, Callable[[Path], object]] = {
    ".json": read_plain, ".yaml": _yaml, ".npz": npz.header, ".safetensors": read_header,
    ".pt": load_torch,
}  # fmt: skip
