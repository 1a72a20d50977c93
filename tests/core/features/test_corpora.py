"""Text as documents and rows of tokens, and what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import microtome as mt
from microtome.corpora.blocks import row_length, tokenise
from microtome.errors import CorpusError
from microtome.prompt_sets import load_prompt_set

DOCUMENTS = ["Mary went to the store", "the capital of France is Paris"]


def documents(corpus: mt.Corpus) -> list[str]:
    return [text for text, _ in corpus.documents()]


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def parquet(folder: Path, column: str = "text") -> Path:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    path = folder / "some.parquet"
    files.write_table(arrow.table({column: [*DOCUMENTS, None]}), path)
    return path


def test_every_kind_of_file_gives_its_documents(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({"text": text, "id": 1}) for text in DOCUMENTS)
    kinds = [
        written(tmp_path, "a.txt", "\n".join(DOCUMENTS)),
        written(tmp_path, "b.md", "\r\n\r\n".join(DOCUMENTS) + "\r\n"),
        written(tmp_path, "c.jsonl", f"{lines}\n\n"),
        parquet(tmp_path),
    ]
    for path in kinds:
        assert documents(mt.read_corpus(path)) == DOCUMENTS, path.name
    assert documents(mt.read_corpus(tmp_path)) == DOCUMENTS * 4
    facts = load_prompt_set("fact")
    assert documents(mt.read_corpus(facts))[0] == facts.pairs[0].clean


def test_lines_of_a_document_stay_together_where_blank_lines_stand(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "one\ntwo\n\n\nthree\n")
    assert documents(mt.read_corpus(path)) == ["one\ntwo", "three"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.txt", b"", "holds no text"),
        ("a.txt", b" \n\n \n", "holds no text"),
        ("a.txt", b"good\nb\xffd", "not UTF-8 at byte 6"),
        ("a.txt", b"PK\0\0\1", "binary"),
        ("a.jsonl", b'{"text": "x"}\n{"body": "y"}', "Line 2 of a.jsonl has no text in 'text'; it"),
        ("a.jsonl", b"[[[", "Line 1 of a.jsonl is not JSON"),
        ("a.parquet", b"PAR1 not really", "no readable Parquet"),
        ("a.exe", b"x", "no text that can be read"),
    ],
)
def test_text_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(CorpusError, match=told):
        documents(mt.read_corpus(path))


def test_places_that_hold_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no text"):
        mt.read_corpus(tmp_path)
    with pytest.raises(CorpusError, match="no file or folder"):
        mt.read_corpus(tmp_path / "none")
    with pytest.raises(CorpusError, match="no column 'text'; it has body"):
        documents(mt.read_corpus(parquet(tmp_path, "body")))


def test_rows_hold_all_tokens_in_order(embedded: Callable, tmp_path: Path) -> None:
    words = embedded("words-4l")
    path = written(tmp_path, "a.txt", "\n".join(DOCUMENTS * 5))
    rows = tokenise(words, mt.read_corpus(path), tmp_path / "tokens", context=7)
    flat = [int(each) for text in DOCUMENTS * 5 for each in words.tokenize(text).ids]
    assert rows.shape == (len(flat) // 7, 7)
    assert rows.reshape(-1).tolist() == flat[: rows.size]
    few = tokenise(words, mt.read_corpus(path), tmp_path / "few", context=7, limit=10)
    assert few.tolist() == [flat[:7]]
    short = tokenise(words, mt.read_corpus(path), tmp_path / "few", context=40)
    assert np.array_equal(short, [flat[:10]])


def test_a_limit_holds_over_all_pieces_of_a_text(
    embedded: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = embedded("words-4l")
    path = written(tmp_path, "a.txt", "\n".join(DOCUMENTS * 5))
    whole = tokenise(words, mt.read_corpus(path), tmp_path / "whole", context=2)
    monkeypatch.setattr("microtome.corpora.blocks._FLUSH", 10)  # a piece for each document
    first = len(words.tokenize(DOCUMENTS[0]).ids)
    for limit in (2 * (first // 2), 16, 30, 10_000):
        target = tmp_path / f"{limit}"
        few = tokenise(words, mt.read_corpus(path), target, context=2, limit=limit)
        assert np.array_equal(few, whole[: limit // 2]), limit


def test_rows_longer_than_the_model_reads_are_refused(embedded: Callable) -> None:
    words = embedded("words-4l")
    assert row_length(words) == words.identity.context
    with pytest.raises(CorpusError, match="Rows of 4096 tokens were asked for"):
        row_length(words, 4096)
