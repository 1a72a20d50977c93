"""What the commands have in common: how a model, token ids and a place to write are given."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from microtome.errors import InputError, StorageError


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that loads a model."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--dtype", default="float32", help="float32, float64, bfloat16, float16")
    parser.add_argument("--threads", type=int, help="on how many threads a large model computes")
    parser.add_argument(
        "--download",
        action="store_true",
        help="allow a download from the hub; its size and destination are printed first",
    )


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that takes a prompt or a set of pairs, and answers."""
    add_pair_options(parser)
    add = parser.add_argument
    add("--budget", help="memory beside the model: 96, 0.5 (MB), 500kB, 1.5GB or 64MiB")
    add_result_options(parser)


def add_pair_options(parser: argparse.ArgumentParser) -> None:
    """Which model, and which pairs of prompts with their answers."""
    add = parser.add_argument
    add("--model", required=True, help="embedded name, folder or hub id")
    add("--set", dest="prompt_set", help="a prompt set (embedded name or file) in prompts' place")
    add("--limit", type=int, help="take the first so many pairs of the set")
    add("--prompt", help="the clean prompt")
    add("--corrupt", help="the corrupt prompt of the same number of tokens")
    add("--answer", help="the word that should follow")
    add("--wrong", help="the word to compare it with")
    add("--over", help="a prompt set that means, or values of other prompts, are taken from")


def add_result_options(parser: argparse.ArgumentParser) -> None:
    """Where a result goes, and the options of every command that loads a model."""
    add = parser.add_argument
    add("--out", type=Path, help="the session file to write")
    add("--csv", type=Path, help="the table to write")
    add("--json", action="store_true", help="print the whole result as JSON")
    add_model_options(parser)


def expect_results_writable(options: argparse.Namespace) -> None:
    """Refuse places of ``add_result_options`` that cannot be written. Raises InputError."""
    for path in (options.out, options.csv):
        if path is not None:
            expect_writable(path)


def load(options: argparse.Namespace) -> Any:
    """The model that was asked for."""
    from microtome.models.devices import use_threads
    from microtome.models.loading import load_model

    if options.threads is not None:
        if options.threads < 1:
            raise InputError(f"--threads is {options.threads}.", "Give 1 or more.")
        use_threads(options.threads)
    return load_model(
        options.model,
        device=options.device,
        dtype=options.dtype,
        allow_download=options.download,
        job=_download_job() if options.download else None,
    )


def examined(model: Any, question: Any) -> Any:
    """All that the window shows of a question, with the model's self-checks: a Session."""
    from dataclasses import replace

    from microtome.examining import examine
    from microtome.selfcheck.suite import self_check

    return replace(examine(model, question), checks=self_check(model))


def _download_job() -> Any:
    """A job that tells on standard error what is fetched, and how far it is on a terminal."""
    from microtome.jobs import Job, Progress

    def on_partial(name: str, value: Any) -> None:
        if name == "download":
            print(f"Downloading {value}", file=sys.stderr)

    def on_progress(progress: Progress) -> None:
        if progress.unit == "B":
            end = "\n" if progress.done >= progress.total else ""
            print(f"\r{progress.title}: {progress.fraction:4.0%}", end=end, file=sys.stderr)

    return Job(on_progress if sys.stderr.isatty() else None, on_partial)


def progress_job() -> Any:
    """A job that tells how far it is, on a terminal."""
    from microtome.jobs import Job, Progress

    def on_progress(progress: Progress) -> None:
        end = "\n" if progress.done >= progress.total else ""
        print(f"\r{progress.title}: {progress.fraction:4.0%}", end=end, file=sys.stderr)

    return Job(on_progress if sys.stderr.isatty() else None)


def text_source(given: str) -> Any:
    """A text as typed: a path, the name of an embedded text, or the prompt set of that name."""
    from microtome.prompt_sets import load_prompt_set, prompt_set_names

    if not Path(given).exists() and given in prompt_set_names():
        return load_prompt_set(given)
    return given


def expect_writable(path: Path) -> None:
    """Refuse a place that cannot be written before the work, not after it.

    Raises InputError.
    """
    if not path.parent.is_dir():
        raise InputError(
            f"There is no folder {path.parent}.", "Create it, or choose another place."
        )
    if path.is_dir():
        raise InputError(f"{path} is a folder.", "Give a file name, for example session.h5.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"{path} may not be written.", "Choose another place.")


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of plain values as a table of commas; their names are its headers.

    Raises StorageError where the file cannot be written.
    """
    with written(path) as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)


@contextmanager
def written(path: Path) -> Iterator[TextIO]:
    """A table or text to write. Raises StorageError where the file cannot be written."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise StorageError(
            f"{path} could not be written: {error.strerror}.", "Choose another place."
        ) from error


def ids(text: str) -> tuple[int, ...]:
    """Token ids as typed. Raises InputError for what is none."""
    from microtome.prompts import typed_ids

    found = typed_ids(text)
    if found is not None:
        return found
    return tuple(token_id(part) for part in text.replace(",", " ").split())


_UNITS = {
    "": 1e6, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
}  # fmt: skip


def size(text: str) -> int:
    """Bytes of a size as typed, megabytes where no unit is named. Raises InputError."""
    number = text.strip().rstrip("kKmMgGiIbB").strip()
    unit = text.strip()[len(number) :].strip().lower()
    try:
        found = int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        found = 0
    if found < 1:
        raise InputError(
            f"{text!r} is no size of memory.", "Write for example 96, 0.5, 500kB or 64MiB."
        )
    return found


def token_id(text: str) -> int:
    """One token id as typed. Raises InputError for what is none."""
    try:
        return int(text)
    except ValueError:
        raise InputError(
            f"{text!r} is not a token id.", "Give whole numbers, or leave out --ids."
        ) from None
