"""A hub on this machine that speaks as much of the protocol as opening a model needs."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

REVISION = "5a" * 20
_API = re.compile(r"/api/models/(?P<name>[^/]+/[^/]+)(?P<rest>/.*)?$")
_FILE = re.compile(r"/(?P<name>[^/]+/[^/]+)/resolve/[^/]+/(?P<file>.+)$")


class LocalHub:
    """Serves ``models``: name -> file -> bytes. Weights are kept the large-file way.

    ``requests`` are the files that were asked for, with the first byte wanted. Transfers break
    off after ``cut`` bytes; ``before_block`` is called before each block that is sent.
    """

    def __init__(self):
        self.models, self.gated, self.requests = {}, set(), []
        self.cut = None
        self.ranges = True  # whether a transfer may begin in the middle
        self.before_block = lambda: None
        self.server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Bound", (Handler,), {"hub": self})
        )
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def fetched(self, file):
        """The first bytes of the transfers of a file."""
        return [start for name, start in self.requests if name == file]


def etag(name, data):
    if name.endswith((".safetensors", ".bin")):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _lfs(name, data, checksum):
    if not name.endswith((".safetensors", ".bin")):
        return {}
    return {"lfs": {"size": len(data), checksum: etag(name, data), "pointerSize": 130}}


class Handler(BaseHTTPRequestHandler):
    """Answers for the hub in its class."""

    hub = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        path = urlsplit(self.path).path
        if found := _API.fullmatch(path):
            self.api(found["name"], found["rest"] or "")
        elif found := _FILE.fullmatch(path):
            self.file(found["name"], found["file"], body=body)
        else:
            self.refuse(404, "EntryNotFound")

    def refuse(self, status, code):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def give_json(self, value):
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def api(self, name, rest):
        files = self.hub.models.get(name)
        if files is None:
            self.refuse(401, "RepoNotFound")
        elif rest.startswith("/auth-check"):
            self.refuse(403, "GatedRepo") if name in self.hub.gated else self.give_json({})
        elif rest.startswith("/tree/"):
            self.give_json([
                {"type": "file", "path": file, "size": len(data), "oid": etag("", data),
                 **_lfs(file, data, "oid")}
                for file, data in files.items()
            ])  # fmt: skip
        else:
            siblings = [
                {"rfilename": file, "size": len(data), "blobId": etag("", data),
                 **_lfs(file, data, "sha256")}
                for file, data in files.items()
            ]  # fmt: skip
            gated = "manual" if name in self.hub.gated else False
            self.give_json({"id": name, "sha": REVISION, "gated": gated, "siblings": siblings})

    def file(self, name, file, *, body):
        data = self.hub.models[name][file]
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and self.hub.ranges else 0
        part = data[start:]
        self.send_response(206 if wanted and self.hub.ranges else 200)
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("ETag", f'"{etag(file, data)}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if body:
            self.hub.requests.append((file, start))
            self.send_blocks(part)

    def send_blocks(self, data, size=1 << 18):
        for at in range(0, len(data), size):
            self.hub.before_block()
            if self.hub.cut is not None and at >= self.hub.cut:
                self.close_connection = True
                return
            self.wfile.write(data[at : at + size])
            self.wfile.flush()
