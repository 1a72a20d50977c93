"""Opening a model's tokenizer, if it has one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any

from microtome.errors import MicrotomeError, ModelDamaged
from microtome.models.settings import refuse_code
from microtome.models.weights import inside, read_json

# Any of these makes a folder one with a tokenizer.
_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_WAY_OUT = "Its files may be damaged; download them again, or work with token ids."
_CONFIG = "tokenizer_config.json"


class TokenizerEdge:
    """Turns whatever the tokenizer library raises into one readable error.

    Its Rust part reports trouble as bare Exception and, when it panics, as a BaseException that
    no ``except Exception`` would see.
    """

    def __init__(self, what: str, kind: type[MicrotomeError]) -> None:
        self._what, self._kind = what, kind

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if kind is None or issubclass(kind, MicrotomeError):
            return
        if issubclass(kind, Exception) or kind.__name__ == "PanicException":
            raise self._kind(f"{self._what}: {error}.", _WAY_OUT) from error


def load_tokenizer(folder: Path) -> Any:
    """The transformers tokenizer of a model folder, None when it holds none.

    Raises UnsafeModel when it would run code, ModelDamaged when its files cannot be used.
    """
    present = [name for name in _FILES if (folder / name).exists()]
    if not present:
        return None
    for name in present:
        inside(folder, name)
    if (folder / _CONFIG).exists():
        refuse_code(read_json(inside(folder, _CONFIG)), _CONFIG)
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # tokenizer.json is the whole tokenizer; the class that transformers prefers for an
    # architecture may rebuild it from the vocabulary alone.
    whole = "tokenizer.json" in present
    reader: Any = PreTrainedTokenizerFast if whole else AutoTokenizer
    with TokenizerEdge(f"The tokenizer of {folder.name} cannot be opened", ModelDamaged):
        return reader.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def tokenizer_fingerprint(folder: Path) -> str:
    """SHA-256 over the tokenizer's files, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in (*_FILES, "merges.txt"):
        path = folder / name
        if path.exists():
            content = path.read_bytes()
            digest.update(json.dumps([name, len(content)]).encode())
            digest.update(content)
    return digest.hexdigest()
