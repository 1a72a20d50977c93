"""Small sessions, random edits of them, and what a file holds, array by array."""

from __future__ import annotations

import os
from dataclasses import replace

import h5py
import numpy as np
from h5py import h5a, h5d, h5o, h5s
from session_records import analyses, checks, circuit, identity, trace

from microtome.prompts import ImageInput, Question
from microtome.records.analysis import Analysis, Labelled
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.marks import Marks, Note, Supernode
from microtome.records.session import Session
from microtome.session.unsaved import recover, throw_away, unsaved
from microtome.triage.trust import remember

SITES = ("resid_post",)
FOUR = (
    "logit-lens", "projection/resid_post", "verification/L2H1>M2/value",
    "verification/L2H1<M2/value",
)  # fmt: skip
_LISTS = {"REFERENCE_LIST", "DIMENSION_LIST"}
_WRITTEN = {"saved", "created", "uuid"}  # of the root: as each writing has it


def rounds(short, long):
    """How often a random test is repeated: ``long`` by `make torture`."""
    return long if os.environ.get("MICROTOME_TORTURE") else short


def run(seed=0):
    return trace(identity(), n=5, seed=seed, sites=SITES, logits=False)


def small_session(of=FOUR, **changes):
    """A session of about 80 kB with something of everything, and the analyses that ``of`` names."""
    held = {name: one for name, one in analyses(n=5).items() if name in of}
    fields = {
        "model": identity(), "traces": (run(),), "circuit": circuit(), "analyses": held,
        "question": Question("When Mary", (1, 2), "Mary", 4, seed=3), "view": {"dock": [0]},
        "uuid": "11111111-2222-3333-4444-555555555555", "created": "2026-01-02T03:04:05+00:00",
        "marks": Marks(notes=(Note("", "first"),)), "edited": run(7),
        "versions": {"microtome": "0.1.0"},
    }  # fmt: skip
    return Session(**{**fields, **changes})


def a_photo(dice):
    values = np.random.default_rng(dice.randrange(9999)).integers(
        0, 256, (6, dice.randrange(3, 9), 3), dtype=np.uint8
    )
    return ImageInput(values, "café.png", source="/data/café.png")


def an_analysis(dice, name):
    numbers = np.random.default_rng(dice.randrange(9999))
    values = numbers.standard_normal((dice.randrange(1, 9), 5)).astype(np.float32)
    words = np.array([["é", "b" * dice.randrange(9)]])
    arrays = {
        "values": Labelled(("row", "position"), values, "1", "of each row"),
        "many": Labelled(("entry",), numbers.standard_normal(dice.choice([3, 400, 5000]))),
        "words": Labelled(("one", "two"), words),
    }
    return Analysis(name, "kind", f"title {dice.randrange(99)}", arrays, {"seed": 3})


def _dictionary(dice):
    name = f"d{dice.randrange(99)}"
    return DictionaryIdentity(name, "topk sae", 12, 48, 12, "resid_post.1", "resid_post.1")


def _marks(session, dice):
    note = Note("L1H1@7", "a text " * dice.randrange(300), "2026-01-02T03:04:05+00:00")
    groups = (Supernode("pair", ("a", "b"), collapsed=dice.random() < 0.5),)
    return {"marks": Marks(notes=(*session.marks.notes[:3], note), supernodes=groups)}


def _more(session, dice):
    name = f"added {dice.randrange(4)}"
    return {"analyses": {**session.analyses, name: an_analysis(dice, name)}}


def _fewer(session, dice):
    gone = dice.choice([None, *session.analyses])
    return {"analyses": {name: one for name, one in session.analyses.items() if name != gone}}


def _retitled(session, dice):
    """The same arrays, which may still lie in the file, under another title."""
    named = {
        name: replace(one, title=f"new {dice.randrange(99)}") if dice.random() < 0.5 else one
        for name, one in session.analyses.items()
    }
    return {"analyses": named}


def _again(session, dice):
    made = analyses(n=5, seed=dice.randrange(9))
    name = dice.choice([each for each in made if each != "odd"])
    return {"analyses": {**session.analyses, name: made[name]}}


def _question(session, dice):
    prompt = a_photo(dice) if dice.random() < 0.5 else f"What is {dice.randrange(99)}"
    return {"question": Question(prompt, None, "it", seed=dice.randrange(9))}


EDITS = {
    "marks": _marks,
    "no marks": lambda session, dice: {"marks": Marks()},
    "view": lambda session, dice: {"view": {"dock": [dice.randrange(9)] * dice.randrange(400)}},
    "circuit": lambda session, dice: {
        "circuit": circuit(dice.randrange(99), dice.randrange(2, 40), dice.randrange(1, 90))
    },
    "no circuit": lambda session, dice: {"circuit": None},
    "more analyses": _more,
    "fewer analyses": _fewer,
    "analyses under other titles": _retitled,
    "an analysis made again": _again,
    "question": _question,
    "metric": lambda session, dice: {"metric": {"name": "logit", "value": dice.random()}},
    "checks": lambda session, dice: {"checks": dice.choice([None, checks()])},
    "dictionaries": lambda session, dice: {
        "dictionaries": tuple(_dictionary(dice) for _ in range(dice.randrange(3)))
    },
    "edited run": lambda session, dice: {"edited": run(dice.randrange(99))},
    "no edited run": lambda session, dice: {"edited": None},
}


def edited(session, dice, at_once=3):
    """The session after one to ``at_once`` random edits."""
    for _ in range(dice.randrange(1, at_once + 1)):
        session = replace(session, **EDITS[dice.choice([*EDITS])](session, dice))
    return session


def numbered(session, number):
    """A session that differs from all of other numbers, wherever the number is looked for."""
    note = Note("", f"state {number}")
    return replace(
        session, view={**session.view, "number": number},
        marks=replace(session.marks, notes=(*session.marks.notes[1:], note)),
    )  # fmt: skip


def content(path, *, whole=True):
    """All arrays of a file, but for checksums, by path; ``whole``: and all attributes.

    Analyses and their plots go by their ids, for names of groups depend on which came first, and
    groups of them that hold none are left out.
    """
    found = {}
    with h5py.File(path, "r") as file:
        names = list(file["analyses"]) if "analyses" in file else ()
        ids = {name: file["analyses"][name].attrs["id"].decode() for name in names}

        # h5py's own ways take five times as long, and the tests of power cuts go through thousands.
        def look(name):
            path = _by_id(name.decode(), ids)
            plain = path and _plain(file, name, whole)
            if plain:
                found[path] = plain

        h5o.visit(file.id, look)
        found["/"] = {k: v for k, v in _attributes(file.id).items() if k not in _WRITTEN}
    return found


def _by_id(path, ids):
    for above in ("analyses", "entry/plots"):
        if path.startswith(f"{above}/"):
            group, _, rest = path.removeprefix(f"{above}/").partition("/")
            return f"{above} of {ids[group]}/{rest}"
    return "" if path.partition("/")[0] in ("analyses", "entry", "manifest") else path


def _plain(file, name, whole):
    owner = h5o.open(file.id, name)
    values = ()
    if isinstance(owner, h5d.DatasetID):
        values = np.empty(owner.shape, owner.dtype)
        if values.size:
            owner.read(h5s.ALL, h5s.ALL, values)
        values = owner.shape, str(values.dtype), values.tobytes()
    return (values, _attributes(owner)) if whole else values


def _attributes(owner):
    found = {}
    for index in range(h5a.get_num_attrs(owner)):
        one = h5a.open(owner, index=index)
        if one.name.decode() not in _LISTS:
            value = np.empty(one.shape, one.dtype)
            one.read(value)
            found[one.name.decode()] = value.dtype.str, value.tobytes()
    return found


def after_start(path, answer):
    """What the program does with a file when it finds it: asks, and does as it is told."""
    waits = unsaved(path)
    if waits is not None:
        {"recover": recover, "throw away": throw_away}[answer](path)
    assert unsaved(path) is None
    remember(path)  # spares the trial in a process of its own
    return waits
