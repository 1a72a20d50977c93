"""What the child that looks at a model's files checks: settings, headers, tokenizer; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from microtome.errors import ModelDamaged
from microtome.models.settings import read_settings, refuse_code
from microtome.models.tokenizer import TokenizerEdge
from microtome.models.weights import find_weights, inside, read_header, read_json

# A long run of one letter is what expressions that never end fall for; letters, signs, blanks.
_SAMPLE = "a" * 64 + " Zebra, 1984! " + "é" * 16 + "\t\n" + "!?" * 16
_TOKENIZER = "tokenizer.json"
_LARGE = frozenset({_TOKENIZER, "vocab.json"})  # as large as a vocabulary, and no settings
_INDEX_END = ".index.json"


def files_of(folder: Path, weights: Path | None) -> tuple[Path, ...]:
    """All files of a model that the check reads, whole or their beginnings.

    Raises UnsafeModel for a link that leaves the folder.
    """
    patterns = ("*.json",) if weights else ("*.json", "*.safetensors")
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    own = tuple(inside(folder, path.name) for path in found if path.is_file())
    return (*own, weights) if weights else own


def examine(paths: Sequence[Path]) -> None:
    """Check a folder, and the one file of weights that is meant, as opening the model would.

    A file alone is one of weights. Raises ModelDamaged and UnsafeModel.
    """
    folder, weights = paths[0], (paths[1] if len(paths) > 1 else None)
    if folder.is_file():
        read_header(folder)
        return
    read_settings(folder)
    if weights or any(folder.glob("*.safetensors")):  # that there are none is told later
        find_weights(folder, weights)
    for path in sorted(folder.glob("*.json")):
        held = read_json(inside(folder, path.name))
        if path.name not in _LARGE and not path.name.endswith(_INDEX_END):
            refuse_code(held, path.name)
    if (folder / _TOKENIZER).exists():
        _try_tokenizer(inside(folder, _TOKENIZER), folder.name)


def _try_tokenizer(path: Path, name: str) -> None:
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return
    with TokenizerEdge(f"The tokenizer of {name} cannot be opened", ModelDamaged):
        Tokenizer.from_file(str(path)).encode(_SAMPLE)
