"""Settings in YAML: plain values only, no tags that make objects, no references."""

from __future__ import annotations

from typing import Any

import yaml

from microtome.errors import DictionaryError, UnsafeDictionary

_DEEPEST = 20


class _Plain(yaml.SafeLoader):  # type: ignore[misc]  # the library ships no types
    """The library's safe loader, without references: a few lines of those can mean a billion."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise UnsafeDictionary("It refers to its own parts, which no settings need.")
        depth = self._depth = getattr(self, "_depth", 0) + 1
        if depth > _DEEPEST:
            raise UnsafeDictionary(f"It is more than {_DEEPEST} levels deep.")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def parse_yaml(name: str, text: bytes) -> Any:
    """The value of a YAML text.

    Raises UnsafeDictionary for references and depth, DictionaryError for what is not readable or
    asks for more than plain values.
    """
    try:
        return yaml.load(text, Loader=_Plain)  # noqa: S506  # a loader that is safer than safe
    except UnsafeDictionary as error:
        raise UnsafeDictionary(f"{name}: {error.what}", "Write its values out.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())[:160]
        raise DictionaryError(f"{name} is not readable as YAML: {told}.") from error


def written_yaml(values: Any) -> str:
    """Plain values as YAML, in the order given."""
    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
