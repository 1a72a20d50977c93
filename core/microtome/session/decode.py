"""The parts of a file back into records; everything large stays in the file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np

from microtome.errors import InputError, SessionDamaged
from microtome.prompts import Prompt, Question
from microtome.records.analysis import Analysis, Labelled
from microtome.records.checks import CheckReport, CheckResult, Verdict
from microtome.records.model import AS_THEY_ARE, ModelIdentity
from microtome.records.neuron_prints import analysis_of_now, marks_of_now
from microtome.records.session import Session
from microtome.session.annotations import read_annotations
from microtome.session.decode_traces import decode_edited, decode_traces
from microtome.session.dictionaries import read_dictionaries
from microtome.session.handle import Handle
from microtome.session.lazy import LazyArray
from microtome.session.pictures import Stored, image_of, read_images
from microtome.session.stored_circuit import read_circuit, read_stamp


def decode_session(handle: Handle) -> Session:
    """The session of an inspected file.

    Raises SessionDamaged that names what is missing or contradicts itself.
    """
    root = handle.attributes("/")
    with expecting("model"):
        model, versions = _model(handle)
    with expecting("images"):
        images = read_images(handle)
    with expecting("question"):
        question = _question(handle.json("/question/question_json"), images)
        metric = handle.json("/question/metric_json")
    with expecting("self-checks"):
        checks = _checks(handle)
    with expecting("runs"):
        traces = decode_traces(handle, model, images)
    with expecting("run with edits"):
        edited = decode_edited(handle, model, images)
    with expecting("circuit"):
        circuit = read_circuit(handle)
    with expecting("analyses"):
        analyses = {
            name: analysis_of_now(each, model.fingerprint)
            for name, each in _analyses(handle).items()
        }
    with expecting("annotations"):
        marks = marks_of_now(read_annotations(handle), model.fingerprint)
    with expecting("dictionaries"):
        dictionaries = read_dictionaries(handle)
    view = handle.json("/view/state_json") if handle.kind("/view/state_json") else {}
    return Session(
        model=model, traces=traces, circuit=circuit, analyses=MappingProxyType(analyses),
        question=question, metric=metric, checks=checks, view=view, marks=marks,
        uuid=str(root.get("uuid", "")), created=str(root.get("created", "")), versions=versions,
        edited=edited, dictionaries=dictionaries,
    )  # fmt: skip


@contextlib.contextmanager
def expecting(part: str) -> Iterator[None]:
    """Turn a missing key or a wrong kind of value into SessionDamaged that names the part."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, InputError) as error:
        raise SessionDamaged(
            f"The {part} in the session cannot be understood ({str(error)[:120]}).",
            "Open another copy of the session.",
        ) from error


def _model(handle: Handle) -> tuple[ModelIdentity, dict[str, str]]:
    held = handle.attributes("/model")
    versions = handle.json("/model/versions_json")
    context = int(held["context"])
    sizes: dict[str, Any] = {
        name: int(held[name])
        for name in (
            "n_layers", "n_heads", "n_kv_heads", "d_model", "d_head", "d_mlp", "vocabulary",
            "n_parameters",
        )
    }  # fmt: skip
    model = ModelIdentity(
        name=str(held["name"]), architecture=str(held["architecture"]),
        fingerprint=str(held["weights_fingerprint"]), context=None if context < 0 else context,
        dtype=str(held["dtype"]), device=str(held["device"]),
        attention=str(held["attn_implementation"]),
        weights=str(held.get("weights_used", AS_THEY_ARE)).removesuffix(", nothing folded"),
        tokenizer_fingerprint=str(held["tokenizer_fingerprint"]),
        config_json=str(handle.json("/model/config_json")), versions=dict(versions["model"]),
        inputs=int(held["inputs"]) if "inputs" in held else None, **sizes,
        n_encoder_layers=int(held.get("n_encoder_layers", 0)), sees=bool(held.get("sees", False)),
        threads=int(held["threads"]) if "threads" in held else None,
    )  # fmt: skip
    return model, dict(versions["session"])


def _question(held: dict[str, Any] | None, images: Stored) -> Question | None:
    if held is None:
        return None
    corrupt = None if held["corrupt"] is None else _prompt(held, "corrupt", images)
    return Question(
        prompt=_prompt(held, "prompt", images), corrupt=corrupt, answer=held["answer"],
        wrong=held["wrong"], values_only=bool(held["values_only"]), seed=int(held["seed"]),
    )  # fmt: skip


def _prompt(question: dict[str, Any], name: str, images: Stored) -> Prompt:
    image = image_of(question.get(f"{name}_image"), images)
    if image is not None:
        return image
    held = question[name]
    return held if isinstance(held, str) else tuple(int(token) for token in held)


def _checks(handle: Handle) -> CheckReport | None:
    if handle.kind("/model/selfcheck_json") is None:
        return None
    held = handle.json("/model/selfcheck_json")
    results = tuple(
        CheckResult(
            number=int(one["number"]), title=str(one["title"]), verdict=Verdict(one["verdict"]),
            measured=one["measured"], allowed=one["allowed"], reason=str(one["reason"]),
        )
        for one in held["results"]
    )  # fmt: skip
    return CheckReport(held["model"], held["dtype"], results, held["seconds"])


def _analyses(handle: Handle) -> dict[str, Analysis]:
    found = (_analysis(handle, f"/analyses/{name}") for name in handle.members("/analyses"))
    return {analysis.id: analysis for analysis in found if analysis is not None}


def _analysis(handle: Handle, path: str) -> Analysis | None:
    held = handle.attributes(path)
    if held.get("encoding-type") != "analysis":
        return None
    arrays = {}
    for name in handle.members(path):
        attributes = handle.attributes(f"{path}/{name}")
        if "name" in attributes:
            arrays[str(attributes["name"])] = _labelled(handle, f"{path}/{name}", attributes)
    return Analysis(
        id=str(held["id"]), kind=str(held["kind"]), title=str(held["title"]),
        arrays=MappingProxyType(arrays), params=dict(handle.json(f"{path}/params_json")),
        created=str(held["created"]), made=read_stamp(handle, path),
    )  # fmt: skip


def _labelled(handle: Handle, path: str, attributes: dict[str, Any]) -> Labelled:
    kind = handle.kind(path)
    if kind is None:
        raise SessionDamaged(f"{path} is not a dataset.")
    shape, dtype = kind
    encoding = attributes.get("encoding-type")
    values: Any = LazyArray(handle, path, shape, dtype)
    if encoding == "text":
        values = np.array(handle.texts(path), dtype=np.str_).reshape(shape)
    elif encoding == "bool":
        values = handle.read(path).astype(bool)
    dims = tuple(str(attributes["dims"]).split(",")) if shape else ()
    return Labelled(dims, values, str(attributes["units"]), str(attributes["long_name"]))
