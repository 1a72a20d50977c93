"""Units of a model that sees: single channels, heads, neurons or dimensions of a layer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from microtome.errors import InputError, expect

# Units are written in lists, with commas, and with a place behind @: pool/3@centre.
_LAYER = re.compile(r"[A-Za-z_][^\s/,@]*")
_WRITTEN = re.compile(rf"^(?P<layer>{_LAYER.pattern})/(?P<index>[0-9]+)$")
_EXAMPLE = "Write for example pool/12, stage1.block0/3, mlp_post.2/17 or z.2/3."


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """One unit: the name of its layer and its number there, written ``pool/12``."""

    layer: str
    index: int

    def __str__(self) -> str:
        return f"{self.layer}/{self.index}"

    @classmethod
    def parse(cls, text: str) -> Unit:
        """The unit of a text as ``str`` writes it.

        Raises InputError when the text names no unit.
        """
        expect(text, str, "The unit", "a text", _EXAMPLE)
        found = _WRITTEN.match(text.strip())
        if found is None:
            raise InputError(f"{text!r} is no unit.", _EXAMPLE)
        return cls(found["layer"], int(found["index"]))

    @classmethod
    def of(cls, given: Unit | str) -> Unit:
        """The unit given as itself or as a text; InputError when it is neither."""
        return given if isinstance(given, Unit) else cls.parse(given)


def is_layer_name(name: str) -> bool:
    """Whether units of a layer of this name can be written: ``conv-1``, not ``1x1`` or ``a/b``."""
    return _LAYER.fullmatch(name) is not None


def short_layer(name: str) -> str:
    """A layer's name with its longest words cut to a letter: ``s1.b0.conv0``."""
    for word in ("stage", "block"):
        name = name.replace(word, word[0])
    return name
