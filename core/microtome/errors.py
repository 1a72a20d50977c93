"""Every error that Microtome raises on purpose.

    MicrotomeError                 one readable line; carries the way out
    ├── InputError                 what was given cannot be used
    │   ├── WrongKind              an argument of another type; a TypeError too
    │   ├── PromptError            empty, too long, not tokenizable, pair of unequal length
    │   ├── AnswerError            not one token, unknown word, outside the vocabulary
    │   ├── MetricError            a metric used where its kind has no meaning
    │   ├── EditError              an edit that does not fit its site
    │   └── ImageError             an image, or a set of them, that cannot be read or used
    ├── ModelError                 a model that cannot be opened or instrumented
    │   ├── ModelNotFound          no such embedded name, folder or hub entry
    │   ├── ModelDamaged           half-downloaded, unreadable or inconsistent files
    │   ├── UnsafeModel            pickles, remote code, paths that leave the folder
    │   ├── UnknownArchitecture    parts of the model could not be found
    │   ├── QuantisedModel         weights in a quantised form that cannot be read
    │   ├── TokenizerMissing       text was given, but only token ids can be used
    │   ├── Diverged               an optimisation of an input that gave NaN or infinity
    │   └── Offline                the network would be needed and was not allowed
    ├── SiteMissing                an activation that was not captured or does not exist
    ├── MemoryExceeded             does not fit the byte budget, or memory ran out
    ├── SessionError               a session file that cannot be opened
    │   ├── NotASession            not HDF5, or HDF5 without the mark
    │   ├── SessionDamaged         truncated, wrong shapes, broken references
    │   ├── NewerSession           of a later major version, not understood
    │   └── ModelMismatch          the model at hand is not the one of the session
    ├── PickleError                a pickle that is damaged or makes no sense
    │   └── UnsafePickle           one that asks for more than tensors and plain containers
    ├── GraphError                 a graph file that cannot be read, or a circuit no such file holds
    │   └── UnsafeGraph            a pickle that asks for more than tensors and plain containers
    ├── DictionaryError            a sparse dictionary that cannot be read, made or used
    │   ├── UnsafeDictionary       a pickle that asks for more than tensors and plain containers
    │   └── DictionaryMismatch     a dictionary of another width, model or site
    ├── CorpusError                text that cannot be read: empty, binary, not UTF-8
    └── StorageError               disk full, read-only folder, file in use

``Cancelled`` is no error: it unwinds a job that the user stopped, and is caught at the job
boundary only.
"""

from __future__ import annotations

import reprlib


class MicrotomeError(Exception):
    """A failure in the user's words: what was given, what was expected, what to do.

    ``what`` says what went wrong, ``way_out`` what can be done about it; ``str`` gives both as
    one line, so that the command line can print it as it is.
    """

    def __init__(self, what: str, way_out: str = "") -> None:
        self.what = " ".join(what.split())
        self.way_out = " ".join(way_out.split())
        super().__init__(self.what, self.way_out)

    def __str__(self) -> str:
        return f"{self.what} {self.way_out}".strip()


class InputError(MicrotomeError):
    """What the user gave cannot be used."""


class WrongKind(InputError, TypeError):
    """An argument that is of another type than the one expected."""


class PromptError(InputError):
    """A prompt that is empty, too long, or does not fit its partner."""


class AnswerError(InputError):
    """An answer that is not exactly one known token."""


class MetricError(InputError):
    """A metric used where its kind has no meaning."""


class EditError(InputError):
    """An edit that does not fit its site."""


class ImageError(InputError):
    """An image, or a set of images, that cannot be read or does not fit."""


class ModelError(MicrotomeError):
    """A model that cannot be opened or instrumented."""


class ModelNotFound(ModelError):
    """No embedded model, folder or hub entry of that name."""


class ModelDamaged(ModelError):
    """Model files that are missing, truncated or inconsistent."""


class UnsafeModel(ModelError):
    """Model files that would run code or read outside their folder."""


class UnknownArchitecture(ModelError):
    """A model whose parts could not be located."""


class QuantisedModel(ModelError):
    """Weights in a quantised form that cannot be read."""


class TokenizerMissing(ModelError):
    """Text was given to a model that has no tokenizer."""


class Diverged(ModelError):
    """An optimisation of a model's input that gave NaN or infinity."""


class Offline(ModelError):
    """The network would be needed and was not allowed or not reached."""


class SiteMissing(MicrotomeError):
    """An activation that was not captured, or that the model does not have."""


class MemoryExceeded(MicrotomeError):
    """A request that does not fit the byte budget, or memory that ran out."""


class SessionError(MicrotomeError):
    """A session file that cannot be opened."""


class NotASession(SessionError):
    """A file that is not a Microtome session."""


class SessionDamaged(SessionError):
    """A session file with missing, truncated or contradictory parts."""


class NewerSession(SessionError):
    """A session of a later major version of the format that this one cannot understand."""


class ModelMismatch(SessionError):
    """The model at hand is not the one that made the session."""


class PickleError(MicrotomeError):
    """A pickle, or a file of ``torch.save``, that is damaged or makes no sense."""


class UnsafePickle(PickleError):
    """A pickle that asks for more than tensors, plain containers and known records."""


class GraphError(MicrotomeError):
    """A graph file that cannot be read, or a circuit that its format cannot hold."""


class UnsafeGraph(GraphError):
    """A pickle that asks for more than tensors, plain containers and known records."""


class DictionaryError(MicrotomeError):
    """A sparse dictionary that cannot be read, made or used."""


class UnsafeDictionary(DictionaryError):
    """A pickled dictionary that asks for more than tensors and plain containers."""


class DictionaryMismatch(DictionaryError):
    """A dictionary of another width, model or site than what it meets."""


class CorpusError(MicrotomeError):
    """Text that cannot be read: none there, binary, or not UTF-8."""


class StorageError(MicrotomeError):
    """A file that could not be written."""


class Cancelled(Exception):
    """The user stopped the job."""


def described(value: object) -> str:
    """What was given, short enough for a message: ``None``, ``3 (int)``, ``a Trace``."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    if isinstance(value, str | bytes | int | float):
        return f"{reprlib.repr(value)} ({name})"
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def expect(
    value: object, kinds: type | tuple[type, ...], name: str, wanted: str, way_out: str
) -> None:
    """Raise WrongKind, which names the argument and what was ``wanted``, for another type."""
    if not isinstance(value, kinds):
        raise WrongKind(f"{name} is {described(value)}, but {wanted} was expected.", way_out)


def expect_count(value: object, name: str, least: int = 1) -> None:
    """Raise WrongKind for what is no whole number, InputError for one that is too small."""
    expect(value, int, name, "a whole number", f"Write for example {name}=8.")
    if isinstance(value, int) and value < least:
        raise InputError(f"{name} is {value}.", f"Give {least} or more.")


def file_size(size: int) -> str:
    """A size in bytes as people read it, also of the smallest files."""
    return f"{size} bytes" if size < 1e3 else megabytes(size)


def megabytes(size: int) -> str:
    """A size in bytes as people read it."""
    if 1e3 <= size < 1e5:
        return f"{size / 1e3:,.1f} kB"
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.2f} GB"
