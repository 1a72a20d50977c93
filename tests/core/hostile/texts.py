"""Prompt sets and labels that are none, or too much: what is in the file, and the reason."""

from __future__ import annotations

import gzip
import json

PAIR = {"clean": "a", "corrupt": "b", "answer": "c", "wrong": "d"}
PROMPTS = {
    "no JSON": (b"{", "not readable as JSON"),
    "deep": (b"[" * 200_000, "nested too deeply"),
    "deeper than settings": (b"[" * 70 + b"]" * 70, "deeper than 64"),
    "no text": (b"\xff\xfe\x00{", "not readable as JSON"),
    "a number of 20,000 digits": (b'{"pairs": [' + b"1" * 20_000 + b"]}", "not readable as JSON"),
    "a list": (b"[]", "no list of pairs"),
    "no pairs": (b'{"pairs": []}', "is empty"),
    "a pair that is none": (b'{"pairs": [7]}', "pair 0 has no clean"),
    "prompts of numbers": (json.dumps({"pairs": [{**PAIR, "clean": 3}]}).encode(), "neither text"),
    "20 MB": (b" " * (20 << 20), "too large"),
    "a name of markup": (
        json.dumps({"name": "<img src=x>", "title": "\u202e", "pairs": [PAIR]}).encode(), None
    ),
}  # fmt: skip
LABELS = {
    "no JSON": (b"{", ""),
    "deep": (b"[" * 200_000, ""),
    "no number": (b'{"a": "text"}', ""),
    "a negative number": (b'{"-1": "text"}', ""),
    "a number of 5,000 digits": (b'{"' + b"9" * 5_000 + b'": "text"}', ""),
    "nothing": (b"{}", "holds no labels"),
    "no text": (b"\xff\xfe\x00", ""),
    "two layers": (
        json.dumps([
            {"index": "1", "layer": "1-a", "description": "x"},
            {"index": "1", "layer": "2-a", "description": "x"},
        ]).encode(), "has labels of",
    ),
    "markup": (json.dumps({"0": "<img src=x>"}).encode(), None),
}  # fmt: skip
LABELS_PACKED = {"100 MB in 97 kB": (gzip.compress(b" " * 100_000_000), "")}
