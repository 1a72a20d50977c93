"""Sessions come back from their files as they were, bit by bit."""

import subprocess
import sys
import threading
from dataclasses import replace
from types import MappingProxyType

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session_records import (
    analyses,
    assert_same,
    circuit,
    full_session,
    identity,
    trace,
)

from microtome.errors import (
    InputError,
    ModelMismatch,
    SessionDamaged,
    SessionError,
    SiteMissing,
)
from microtome.prompts import Question
from microtome.records.analysis import Analysis, Labelled
from microtome.records.marks import GraphView, Marks, Note, PointGroup, Supernode
from microtome.records.session import Session
from microtome.session.lazy import LazyArray
from microtome.session.reader import SessionFile, info, open_session
from microtome.session.trace_parts import DEFAULT_SITES
from microtome.session.writer import estimate, save_session
from microtome.sites import SITES

EVERYTHING = (*SITES, "logits")


def saved(session, tmp_path, include=EVERYTHING, name="session.h5"):
    return open_session(save_session(tmp_path / name, session, include=include))


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    session = full_session()
    path = save_session(tmp_path_factory.mktemp("saved") / "all.h5", session, include=EVERYTHING)
    return session, path


def test_everything_comes_back_bit_by_bit(everything):
    session, path = everything
    assert_same(open_session(path), session)


def test_large_arrays_stay_in_the_file(everything):
    found = open_session(everything[1])
    assert all(isinstance(held.values, LazyArray) for held in found.clean.activations.values())
    assert isinstance(found.clean.logits, LazyArray)


def test_an_opened_session_saves_the_same_again(everything, tmp_path):
    session, path = everything
    again = saved(open_session(path), tmp_path, include=None)
    assert_same(saved(again, tmp_path, include=None, name="third.h5"), session)


def test_an_opened_session_saves_onto_its_own_file(everything, tmp_path):
    opened = saved(full_session(), tmp_path)
    assert_same(saved(replace(opened, view={"tab": 2}), tmp_path, include=None).view, {"tab": 2})
    # Arrays of the first opening still read what the file was then.
    assert_same(opened, full_session())


@pytest.mark.parametrize(
    "changes",
    [
        {"circuit": None, "checks": None, "question": None, "metric": {}, "view": {}},
        {"traces": (), "analyses": {}},
        {"analyses": {}, "circuit": circuit(nodes=0, edges=0)},
        {"circuit": circuit(nodes=3, edges=0), "question": Question("x")},
        {"model": identity(context=None, d_mlp=0, n_kv_heads=0), "traces": ()},
    ],
)
def test_sessions_without_some_parts(changes, tmp_path):
    session = full_session(**changes)
    assert_same(saved(session, tmp_path), session)


def test_runs_of_different_lengths_sites_and_layers(tmp_path):
    model = identity()
    traces = (
        trace(model, n=13, k=5),
        trace(model, n=4, k=3, seed=1, logits=False),
        trace(model, n=9, seed=2, sites=("resid_post", "pattern", "q"), layers=(0, 2)),
    )
    session = full_session(model=model, traces=traces, analyses=analyses())
    found = saved(session, tmp_path)
    assert_same(found, session)
    assert_same(found.traces[2].activation("resid_post.2"), traces[2].activation("resid_post.2"))
    with pytest.raises(SiteMissing, match="Layer 1"):
        found.traces[2].activation("resid_post.1")


def test_half_precision_and_double_precision_keep_their_type(tmp_path):
    model = identity(dtype="float16")
    made = trace(model)
    held = made.activations["resid_post"]
    for dtype in (np.float16, np.float64):
        wide = replace(held, values=held.values.astype(dtype))
        mixed = replace(made, activations={"z": made.activations["z"], "resid_post": wide})
        session = full_session(model=model, traces=(mixed,))
        assert_same(saved(session, tmp_path), session)


def test_numbers_that_are_not_finite_are_kept_when_they_are_real(tmp_path):
    model = identity()
    made = trace(model, sites=("scores", "resid_post"))
    made.activations["scores"].values[0, 1, 2, 3] = -np.inf
    made.activations["scores"].values[2, 1, 2, 3] = np.nan
    session = full_session(model=model, traces=(made,))
    assert_same(saved(session, tmp_path), session)


def test_a_nul_in_a_token_becomes_visible_and_stays_exact_in_the_prompt(tmp_path):
    model = identity()
    made = replace(trace(model, n=2), tokens=("a\0", "b"))
    found = saved(full_session(model=model, traces=(made,)), tmp_path).clean
    assert found.tokens == ("a\N{SYMBOL FOR NULL}", "b")
    assert found.prompt == made.prompt


def test_metadata_numbers_that_json_cannot_hold_become_null(tmp_path):
    odd = {"a": float("nan"), "b": [np.float32(1.5), np.inf], "c": np.arange(2), "d": (1,)}
    found = saved(full_session(metric=odd), tmp_path)
    assert found.metric == {"a": None, "b": [1.5, None], "c": [0, 1], "d": [1]}


def test_the_default_content_is_what_the_panels_show(tmp_path):
    found = saved(full_session(), tmp_path, include=None)
    assert tuple(found.clean.activations) == tuple(n for n in SITES if n in DEFAULT_SITES)
    assert found.clean.logits is None
    with pytest.raises(SiteMissing):
        found.clean.activation("q")
    more = saved(full_session(), tmp_path, include=["q", "neurons"])
    assert set(more.clean.activations) == {*DEFAULT_SITES, "q"}


def test_an_unknown_site_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="no site named 'queries'"):
        save_session(tmp_path / "a.h5", full_session(), include=["queries"])
    assert not list(tmp_path.iterdir())


def test_runs_of_another_model_are_refused(tmp_path):
    other = identity(fingerprint="ff" * 32, name="other")
    with pytest.raises(ModelMismatch, match="other"):
        save_session(tmp_path / "a.h5", full_session(traces=(trace(other),)))


def test_the_estimate_names_every_part_and_its_bytes(everything):
    session, path = everything
    sizes = dict(estimate(session, EVERYTHING))
    n, model = len(session.clean.token_ids), session.model
    assert sizes["attention pattern (pattern)"] == 2 * model.n_layers * model.n_heads * n * n * 4
    assert sizes["logits"] > 2 * n * model.vocabulary * 4
    total = sum(sizes.values())
    assert total < path.stat().st_size < total + 600_000  # headers of some seventy datasets


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_lazy_arrays_index_like_numpy(everything, data):
    session, path = everything
    name = data.draw(st.sampled_from(["resid_post", "pattern", "embed", "norm1_scale"]))
    wanted = session.corrupt.activations[name].values
    lazy = _open_once(path).corrupt.activations[name].values
    part = st.one_of(
        st.integers(-3, 3),
        st.slices(13),
        st.just(Ellipsis),
        st.none(),
        st.lists(st.integers(0, 1), min_size=1, max_size=3),
        st.just(True),
    )
    index = data.draw(st.one_of(part, st.lists(part, max_size=4).map(tuple)))
    try:
        expected = wanted[index]
    except IndexError:
        with pytest.raises(IndexError):
            lazy[index]
        return
    found = lazy[index]
    assert found.shape == np.shape(expected)
    np.testing.assert_array_equal(found, expected)


_opened = {}


def _open_once(path):
    if path not in _opened:
        _opened[path] = open_session(path)
    return _opened[path]


def test_lazy_arrays_behave_as_arrays(everything):
    session, path = everything
    lazy = open_session(path).clean.activations["z"].values
    wanted = session.clean.activations["z"].values
    assert (lazy.ndim, lazy.size, lazy.nbytes, len(lazy)) == (4, wanted.size, wanted.nbytes, 3)
    np.testing.assert_array_equal(np.asarray(lazy, dtype=np.float64), wanted.astype(np.float64))


def test_a_file_replaced_on_disk_stays_readable(tmp_path):
    first, second = full_session(), full_session(circuit=None, traces=(trace(identity(), seed=9),))
    opened = saved(first, tmp_path)
    replaced = saved(second, tmp_path)
    assert_same(opened, first)
    assert_same(replaced, second)


def test_a_closed_file_says_so(everything):
    with SessionFile(everything[1]) as file:
        values = file.session.clean.activations["z"].values
        assert values[0].shape == (13, 4, 3)
    file.close()
    with pytest.raises(SessionError, match="was closed"):
        values[0]


def test_any_thread_may_read(everything):
    session, path = everything
    found, wrong = open_session(path), []

    def read(name):
        for _ in range(20):
            values = found.clean.activations[name].values[...]
            if not np.array_equal(values, session.clean.activations[name].values):
                wrong.append(name)

    threads = [threading.Thread(target=read, args=(name,)) for name in ("z", "q", "pattern", "z")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_file_is_closed_when_nobody_uses_it(everything):
    import gc
    from pathlib import Path

    def open_files():
        links = Path("/proc/self/fd")
        return sum(1 for link in links.iterdir() if link.is_symlink() and link.readlink() == path)

    path = everything[1]
    _opened.clear()
    gc.collect()
    before = open_files()
    session = open_session(path)
    assert open_files() == before + 1
    del session
    gc.collect()
    assert open_files() == before


def test_opening_imports_no_engine(everything):
    code = (
        "import sys\nfrom microtome.session.reader import open_session\n"
        f"session = open_session({str(everything[1])!r})\n"
        "assert session.clean.attention(0).shape == (4, 13, 13)\n"
        "print([m for m in ('torch', 'transformers', 'PySide6', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_info_is_plain_json(everything):
    import json

    session, path = everything
    found = json.loads(json.dumps(info(path)))
    assert found["format_version"] == "1.3"
    assert found["model"]["fingerprint"] == session.model.fingerprint
    assert found["circuit"]["nodes"] == session.circuit.n_nodes
    assert [one["id"] for one in found["analyses"]] == list(session.analyses)
    assert found["runs"][1]["sites"]["z"] == session.corrupt.activations["z"].values.nbytes
    assert found["checks"] == {"passed": False, "failed": ["eager = sdpa"]}


def test_an_array_of_objects_is_refused_by_name(tmp_path):
    odd = Analysis("a", "odd", "", {"x": Labelled(("n",), np.array([1j]))})
    with pytest.raises(Exception, match="array x of the analysis a has the type complex128"):
        save_session(tmp_path / "a.h5", full_session(analyses={"a": odd}))
    assert not list(tmp_path.iterdir())


def test_a_real_run_comes_back(tiny_model, tmp_path):
    from microtome.activations.capture import trace as run

    model = tiny_model("gpt2")
    made = run(model, (1, 2, 3, 2, 1))
    session = Session(
        model=model.identity, traces=(made,), created="2026-01-02T03:04:05+00:00", uuid="u"
    )
    found = saved(session, tmp_path)
    assert_same(found, replace(session, traces=(replace(made, live=None),)))


def test_a_later_minor_version_opens(everything, tmp_path):
    session, path = everything
    copy = tmp_path / "later.h5"
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        file.attrs.modify("format_version", np.bytes_("1.7"))
        file.create_group("steering").attrs["encoding-version"] = np.bytes_("1.0")
        file["activations"].create_dataset("novel", data=np.zeros(3, np.float32))
    assert_same(open_session(copy), session)


MARKS = Marks(
    notes=(
        Note("", "The whole circuit, explained.\nIn two lines.", "2026-01-02T03:04:05+00:00"),
        Note("token/3", "the name — „John“ 名前", ""),
        Note("L1H0@3", "previous token", ""),
    ),
    names=MappingProxyType({"L1H0@3": "the duplicate", "OUT": "answer"}),
    pins=("L1H0@3",),
    hidden=("M0@2", "T@1"),
    supernodes=(Supernode("name movers", ("L3H0@7", "L3H2@7"), collapsed=False),),
    point_groups=(PointGroup("nurses", 2, ((-1, 3), (7, 0)), "a1b2"),),
    views=(GraphView("overview", {"nodes": 12, "edge_share": 0.5, "centre": [1.5, 2.0]}),),
)


def test_what_the_user_wrote_comes_back(tmp_path):
    found = saved(replace(full_session(), marks=MARKS), tmp_path)
    assert found.marks == MARKS
    assert saved(found, tmp_path, include=None, name="again.h5").marks == MARKS
    with h5py.File(tmp_path / "session.h5") as file:
        assert file["annotations/text"].asstr()[1] == "the name — „John“ 名前"
        assert file["annotations/position"][:].tolist() == [-1, 3, -1]


def test_a_session_without_marks_has_no_annotations(everything):
    with h5py.File(everything[1]) as file:
        assert "annotations" not in file
    assert open_session(everything[1]).marks == Marks()


@pytest.mark.parametrize("held", ["3", '{"names": {}}', '{"names": 1}'])
def test_marks_that_cannot_be_understood_are_damage(tmp_path, held):
    path = save_session(tmp_path / "marks.h5", replace(full_session(), marks=MARKS))
    with h5py.File(path, "a") as file:
        del file["annotations/marks_json"]
        file["annotations/marks_json"] = np.frombuffer(held.encode(), np.uint8)
    with pytest.raises(SessionDamaged, match="annotations"):
        open_session(path)
