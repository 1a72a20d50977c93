"""What is installed and allowed, compared with advisories in the format of OSV."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.metadata import version

import pytest


def advisory(name, events, *, known="", summary="Runs code.", **more):
    """One as the databases hold it, with more of its fields than are looked at."""
    return {
        "schema_version": "1.7.0",
        "id": f"GHSA-{name}",
        "modified": "2026-04-02T10:00:00Z",
        "published": "2026-04-01T10:00:00Z",
        "aliases": [known] if known else [],
        "summary": summary,
        "details": "What happens.\nAnd how.",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": name, "purl": f"pkg:pypi/{name}"},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
                "versions": [],
                "database_specific": {"source": "here"},
            }
        ],
        "references": [{"type": "WEB", "url": "https://example.org"}],
    } | more


def until(fixed, since="0"):
    return [{"introduced": since}, {"fixed": fixed}]


# Faults that run code or open memory, with the first release that is whole.
CODE_RUNS = (
    advisory("torch", until("2.6.0"), known="CVE-2025-32434"),
    advisory("transformers", until("5.3.0", "4.56.0"), known="CVE-2026-4372"),
    advisory("transformers", until("5.3.0", "5.2.0"), known="CVE-2026-5241"),
    advisory("PyYAML", until("5.4"), known="CVE-2020-14343"),
    advisory("pillow", until("11.3.0", "11.2.0"), known="CVE-2025-48379"),
)


@pytest.fixture(scope="module")
def audit(root):
    spec = importlib.util.spec_from_file_location("audit", root / "packaging" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def database(tmp_path):
    """Return a way to write advisories into a folder."""

    def write(*advisories):
        for number, each in enumerate(advisories):
            place = tmp_path / f"{number % 2}"
            place.mkdir(exist_ok=True)
            (place / f"{number}.json").write_text(json.dumps(each))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("events", "hit", "whole"),
    [
        (until("2.6.0"), ("0.1", "2.5.1+cpu", "2.6.0rc1"), ("2.6.0", "2.6.0+cpu", "10.0")),
        (until("2.6.0", "2.0"), ("2.0", "2.5"), ("1.9", "2.6")),
        ([{"introduced": "2.0"}, {"last_affected": "2.2"}], ("2.0", "2.2"), ("1.9", "2.2.1")),
        ([{"introduced": "1.0"}], ("1.0", "99"), ("0.9",)),
        (
            [*until("2.3", "2.0"), *until("1.5", "1.0")],
            ("1.2", "2.1"),
            ("0.9", "1.5", "1.9", "2.3", "3"),
        ),
    ],
)
def test_ranges_of_versions(audit, database, events, hit, whole):
    known = audit.read(database(advisory("Some_Thing", events)))
    found = known.faults([("some-thing", each) for each in (*hit, *whole)])
    assert {fault.version for fault in found} == set(hit)
    assert known.faults([("another-thing", each) for each in hit]) == []


def test_listed_versions_and_what_is_no_matter(audit, database):
    listed = advisory("thing", [])
    listed["affected"][0]["versions"] = ["1.0", "1.2", "2004b-old"]
    withdrawn = advisory("thing", until("9"), withdrawn="2026-05-01T00:00:00Z")
    other = advisory("thing", until("9"))
    other["affected"][0]["package"]["ecosystem"] = "npm"
    commits = advisory("thing", until("9"))
    commits["affected"][0]["ranges"][0]["type"] = "GIT"
    folder = database(listed, withdrawn, other, commits)
    (folder / "broken.json").write_text('{"affected": ')
    (folder / "list.json").write_text("[]")
    odd = advisory("thing", until("no version"))
    (folder / "odd.json").write_text(json.dumps(odd))
    known = audit.read(folder)
    assert [f.version for f in known.faults([("thing", v) for v in ("1.0", "1.1", "1.2")])] == [
        "1.0", "1.2",
    ]  # fmt: skip
    assert {path.name for path in known.unread} == {"broken.json", "list.json", "odd.json"}


def test_it_tells_what_is_installed_and_what_is_allowed(audit, database, capsys, monkeypatch):
    now = version("numpy")
    folder = database(
        advisory("numpy", [{"introduced": "0"}, {"last_affected": now}], known="CVE-1"),
        *CODE_RUNS,
    )
    monkeypatch.setenv(audit.VARIABLE, str(folder))
    assert audit.main([]) == 1
    said = capsys.readouterr().out
    assert "6 entries about 5 packages; 0 files not read." in said
    assert f"  numpy {now}: GHSA-numpy (CVE-1) Runs code.\n" in said
    assert said.count("GHSA-numpy") == 2  # and the oldest that is allowed
    assert said.count("GHSA-") == 2


def test_without_advisories_it_says_so(audit, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv(audit.VARIABLE, raising=False)
    assert audit.main([]) == 0
    assert "nothing was compared" in capsys.readouterr().out
    assert audit.main([str(tmp_path)]) == 2
    assert "holds no advisories" in capsys.readouterr().out


def test_no_release_that_is_allowed_runs_code_of_others(audit, database, root):
    known = audit.read(database(*CODE_RUNS))
    allowed = audit.oldest(root / "pyproject.toml")
    assert {"torch", "transformers", "PyYAML", "pillow"} <= {name for name, _ in allowed}
    assert known.faults(allowed) == []
    before = [("torch", "2.5.1"), ("transformers", "5.2.0")]
    before += [("pillow", "11.2.1"), ("pyyaml", "5.3")]
    assert len(known.faults(before)) == 5
