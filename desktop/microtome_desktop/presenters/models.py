"""The models that can be loaded, as rows of a tree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from microtome.records.memory import memory_tip
from microtome.records.model import ModelIdentity
from microtome_desktop.presenters.coverage import coverage_text
from microtome_desktop.presenters.sizes import bytes_text, count_text
from microtome_desktop.state.library import EmbeddedEntry, Seen, Shelf

_NAMED = 40  # classes in a tip
_DTYPES = {"float32": "fp32", "float64": "fp64", "float16": "fp16", "bfloat16": "bf16"}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A row: what it says, the name to load (empty for a heading or a fact), its children."""

    text: str
    name: str = ""
    tip: str = ""
    loaded: bool = False
    sees: bool = False  # it reads images
    children: tuple[ModelRow, ...] = ()


def model_rows(
    shelf: Shelf, recent: tuple[str, ...], model: ModelIdentity | None
) -> tuple[ModelRow, ...]:
    """Embedded models with their checkpoints, then recent ones; facts below the loaded one."""
    loaded = "" if model is None else model.name
    rows = [
        replace(_row(entry.name, entry.name, model, shelf, tuple(
            ModelRow(f"after {step:,} steps", f"{entry.name}@{step}",
                     "A checkpoint along training", loaded == f"{entry.name}@{step}")
            for step in entry.checkpoints)), sees=entry.sees, tip=_tip(entry))
        for entry in sorted(shelf.embedded, key=lambda one: one.sees)
    ]  # fmt: skip
    rows += [_row(short_name(name), name, model, shelf, ()) for name in recent]
    known = {row.name for row in rows} | {c.name for row in rows for c in row.children}
    if (
        model is not None
        and model.name not in known
        and short_name(model.name) not in {row.text for row in rows}
    ):
        rows.append(_row(short_name(model.name), model.name, model, shelf, ()))
    return tuple(rows)


def _row(
    text: str,
    name: str,
    model: ModelIdentity | None,
    shelf: Shelf,
    children: tuple[ModelRow, ...],
) -> ModelRow:
    is_loaded = model is not None and model.name in (name, short_name(name))
    inside = model is not None and any(child.loaded for child in children)
    facts = _facts(model, shelf) if model is not None and (is_loaded or inside) else ()
    sees = model is not None and is_loaded and model.sees
    tip = f"{name}: double-click to load"
    return ModelRow(text, name, tip, is_loaded, sees, (*facts, *children))


def _tip(entry: EmbeddedEntry) -> str:
    reads = "sees images" if entry.sees else "reads text"
    return f"{entry.name} {reads}: double-click to load"


def _facts(model: ModelIdentity, shelf: Shelf) -> tuple[ModelRow, ...]:
    """Facts below a loaded model: its size, and what of it can be seen."""
    coverage, need = shelf.coverage, shelf.memory
    rows = [ModelRow(facts_text(model))]
    seen = shelf.facts.seen
    if seen is not None:
        classes = ", ".join(seen.classes[:_NAMED]) + (", …" if len(seen.classes) > _NAMED else "")
        rows.append(ModelRow(seen_text(seen), tip="\n".join((*seen.lines, f"classes: {classes}"))))
    if need is not None:
        rows.append(ModelRow(f"{bytes_text(need.weights)} of memory", tip=memory_tip(need)))
    if coverage is not None:
        rows.append(ModelRow(coverage_text(coverage), tip=coverage.summary))
        rows += [
            ModelRow(note.removeprefix("its weights are "), tip=note) for note in coverage.notes
        ]
    return tuple(rows)


def seen_text(seen: Seen) -> str:
    """For example ``sees 32 × 32 grey · 22 classes``."""
    channels, rows, columns = seen.shape
    colour = "grey" if channels == 1 else "colour"
    count = len(seen.classes)
    return f"sees {rows} × {columns} {colour} \N{MIDDLE DOT} {count} class{'es' * (count != 1)}"


def facts_text(model: ModelIdentity) -> str:
    """For example ``873k · 4 layers · 4 heads · fp32``; an encoder's layers come first."""
    parts = (
        count_text(model.n_parameters),
        f"{model.n_encoder_layers} + {model.n_layers} layers"
        if model.n_encoder_layers
        else f"{model.n_layers} layers" * bool(model.n_layers),  # 0 where there are none of ours
        f"{model.n_heads} heads" if model.n_heads else "",  # 0 where they are not known
        _DTYPES.get(model.dtype, model.dtype),
    )
    return " \N{MIDDLE DOT} ".join(part for part in parts if part)


def short_name(name: str) -> str:
    """The last part of a folder; other names as they are."""
    return Path(name).name if Path(name).is_absolute() else name
