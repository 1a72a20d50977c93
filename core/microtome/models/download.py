"""What a model of the hub would take to fetch, and fetching it: resumable, checked, cancellable.

The library that speaks to the hub throws a file away when its transfer breaks. Here the bytes go
to ``blobs/<checksum>.incomplete`` of the library's own cache and stay there; only a file that is
whole gets the name that the library looks for. Links and references are then made by the library.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from filelock import Timeout
from huggingface_hub import constants, file_download
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    WeakFileLock,
    build_hf_headers,
    disable_progress_bars,
    get_session,
    hf_raise_for_status,
)

from microtome.errors import ModelDamaged, ModelNotFound, Offline, StorageError, UnsafeModel
from microtome.errors import megabytes as mb
from microtome.jobs import Job

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
# Beside the weights only these are ever fetched, and nothing of sub-folders: no code, no pickles.
_TEXTS = (".json", ".txt")
_TOKENIZER = "tokenizer.model"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".pkl")
_SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_BLOCK = 1 << 20  # between two looks at the job: a tenth of a second on a slow line
_LOCK_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of the hub: its name, bytes, and the checksum under which the cache keeps it."""

    name: str
    size: int
    blob: str
    sha256: bool = False  # whether the checksum is one of its bytes


@dataclass(frozen=True, slots=True)
class Download:
    """What would be fetched of a model. ``here`` and ``free`` are bytes, as they are now."""

    name: str
    revision: str
    files: tuple[HubFile, ...]
    folder: Path  # of this model, in the library's cache
    here: int
    free: int

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def missing(self) -> int:
        """Bytes that are still to come."""
        return self.total - self.here

    def __str__(self) -> str:
        """Size and destination, as one line."""
        here = f", {mb(self.here)} of them here already" if self.here else ""
        return (
            f"{self.name}: {mb(self.total)} in {len(self.files)} files{here}, to {self.folder}; "
            f"{mb(self.free)} are free there."
        )


Choice = Callable[[str, list[HubFile]], tuple[HubFile, ...]]


def look_up(name: str, choose: Choice | None = None) -> Download:
    """Ask the hub what opening a model would fetch; nothing is fetched.

    ``choose`` picks the files of a repository that holds something else, and raises what is to be
    told when it holds none.
    Raises ModelNotFound, UnsafeModel when its weights are pickles only, Offline.
    """
    with _told(name):
        api = huggingface_hub.HfApi()
        timeout = constants.HF_HUB_ETAG_TIMEOUT
        info: Any = api.model_info(name, files_metadata=True, timeout=timeout)
        if info.gated:
            api.auth_check(name)
    found = [_file(each) for each in info.siblings or ()]
    folder = _folder(name)
    files = (choose or _wanted)(name, found)
    here = sum(_present(folder, name, info.sha, file) for file in files)
    return Download(name, info.sha, files, folder, here, _free(folder))


def fetch(plan: Download, job: Job) -> Path:
    """The folder of the model, once every file of the plan is in it, whole.

    What arrives is kept when the transfer breaks or the job is stopped, and counts the next time.
    Raises StorageError, also for a disk that is too small before anything is fetched, and Offline.
    """
    if plan.missing > plan.free:
        raise StorageError(
            f"{plan.name} needs {mb(plan.missing)}, but {plan.folder.parent} has {mb(plan.free)} "
            "free.",
            "Free some space, or let HF_HOME name a folder on a larger disk.",
        )
    done = plan.here

    def report(count: int) -> None:
        nonlocal done
        done += count
        job.progress(f"Downloading {plan.name}", done, plan.total, "B")

    report(0)
    with _told(plan.name):
        for file in plan.files:
            # What the hub tells no checksum of is small, and the library fetches it below.
            if file.blob and not _is_whole(plan.folder, plan.name, plan.revision, file):
                with _alone(plan, file):
                    _transfer(plan, file, report)
                    _accept(plan, file, job)
        disable_progress_bars()
        names = [file.name for file in plan.files]
        return Path(huggingface_hub.snapshot_download(plan.name, allow_patterns=names))


def _file(sibling: Any) -> HubFile:
    if sibling.lfs is not None:
        return HubFile(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256, sha256=True)
    known = sibling.size is not None and sibling.blob_id is not None
    return HubFile(sibling.rfilename, sibling.size or 0, sibling.blob_id if known else "")


def _wanted(name: str, found: list[HubFile]) -> tuple[HubFile, ...]:
    """The files that opening the model reads.

    Raises UnsafeModel for pickled weights alone, ModelDamaged for no weights.
    """
    names = {file.name for file in found}
    shards = {n for n in names if n.startswith("model-") and n.endswith(".safetensors")}
    if _WEIGHTS in names:
        weights = {_WEIGHTS}
    elif _INDEX in names and shards:
        weights = shards
    else:
        raise _no_weights(name, sorted(names))
    texts = {n for n in names if "/" not in n and (n.endswith(_TEXTS) or n == _TOKENIZER)}
    return tuple(file for file in found if file.name in weights | texts)


def _no_weights(name: str, names: list[str]) -> ModelDamaged | UnsafeModel:
    pickles = [each for each in names if each.endswith(_PICKLES)]
    if pickles:
        return UnsafeModel(
            f"The weights of {name} are in {pickles[0]}, a format that can run code when it is "
            "opened; nothing was fetched.",
            "Microtome opens safetensors only: look for a copy of the model in that format.",
        )
    return ModelDamaged(
        f"{name} holds no {_WEIGHTS} and no {_INDEX}; nothing was fetched.",
        "Choose a model that was saved by transformers.",
    )


def _folder(name: str) -> Path:
    folder = file_download.repo_folder_name(repo_id=name, repo_type="model")
    return Path(constants.HF_HUB_CACHE).expanduser().resolve() / folder


def _free(folder: Path) -> int:
    """Bytes that are free on the disk of a folder that need not exist yet."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free


def _is_whole(folder: Path, name: str, revision: str, file: HubFile) -> bool:
    linked = huggingface_hub.try_to_load_from_cache(name, file.name, revision=revision)
    if isinstance(linked, str) and Path(linked).stat().st_size == file.size:
        return True
    blob = folder / "blobs" / file.blob
    return blob.is_file() and blob.stat().st_size == file.size


def _present(folder: Path, name: str, revision: str, file: HubFile) -> int:
    """Bytes of a file that are here: all, or what a broken transfer left."""
    if not file.blob or _is_whole(folder, name, revision, file):
        return file.size
    part = _part(folder, file)
    return min(file.size, part.stat().st_size) if part.exists() else 0


def _part(folder: Path, file: HubFile) -> Path:
    return folder / "blobs" / f"{file.blob}.incomplete"


@contextmanager
def _alone(plan: Download, file: HubFile) -> Iterator[None]:
    """Hold the library's own lock on a file.

    Raises StorageError when another program has it.
    """
    lock = plan.folder.parent / ".locks" / plan.folder.name / f"{file.blob}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    _part(plan.folder, file).parent.mkdir(parents=True, exist_ok=True)
    try:
        with WeakFileLock(lock, timeout=_LOCK_PATIENCE):
            yield
    except Timeout as error:
        raise StorageError(
            f"Another program is downloading {file.name} of {plan.name}.",
            "Wait until it is done, then ask again.",
        ) from error


def _transfer(plan: Download, file: HubFile, report: Callable[[int], None]) -> None:
    """Bring a file in, from where the last transfer ended; ``report`` is told of each block."""
    part = _part(plan.folder, file)
    part.touch()
    while (here := part.stat().st_size) < file.size:
        try:
            _stream(plan, file, here, report)
        except HfHubHTTPError:
            raise
        except HTTPError:
            # A connection that broke after it brought something is worth another one.
            if part.stat().st_size <= here:
                raise
        else:
            if part.stat().st_size <= here:
                raise Offline(
                    f"The hub sent nothing of {file.name} of {plan.name}.", "Try again later."
                )


def _stream(plan: Download, file: HubFile, start: int, report: Callable[[int], None]) -> None:
    """Append a file's bytes from ``start`` on."""
    url = file_download.hf_hub_url(plan.name, file.name, revision=plan.revision)
    headers = build_hf_headers() | {"Accept-Encoding": "identity", "Range": f"bytes={start}-"}
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", url, headers=headers, timeout=timeout) as answer:
        hf_raise_for_status(answer)
        again = start > 0 and answer.status_code != 206  # a server that begins at the beginning
        with _part(plan.folder, file).open("wb" if again else "ab") as out:
            report(-start if again else 0)
            for block in answer.iter_bytes(_BLOCK):
                out.write(block)
                report(len(block))


def _accept(plan: Download, file: HubFile, job: Job) -> None:
    """Give a file that is whole the name that the library looks for.

    Raises StorageError for one that is not what the hub said, and forgets it.
    """
    part = _part(plan.folder, file)
    right = part.stat().st_size == file.size
    if not right or (file.sha256 and _sha256(part, file, job) != file.blob):
        part.unlink()
        raise StorageError(
            f"{file.name} of {plan.name} is not what the hub says it is.", "Download it again."
        )
    part.replace(plan.folder / "blobs" / file.blob)


def _sha256(path: Path, file: HubFile, job: Job) -> str:
    found, read = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            found.update(block)
            read += len(block)
            job.progress(f"Checking {file.name}", read, file.size, "B")
    return found.hexdigest()


def _switch() -> str:
    """The variable that forbids the network; the library reads both, this one first."""
    return next((name for name in _SWITCHES if os.environ.get(name)), _SWITCHES[0])


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Say what the hub, the network or the disk refuses in the user's words."""
    try:
        yield
    except GatedRepoError as error:
        raise ModelNotFound(
            f"The owner of {name} gives it only to people who were granted access.",
            "Ask for access on the model's page, log in with `hf auth login`, and try again.",
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelNotFound(
            f"The hub has no model {name}, or it is private.",
            "Check the spelling; log in with `hf auth login` for a model of your own.",
        ) from error
    except OfflineModeIsEnabled as error:
        raise Offline(
            f"The model {name} is not on this computer, and {_switch()} forbids the network.",
            f"Unset {_switch()}, or give the folder of a local copy.",
        ) from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "no status")
        raise Offline(
            f"The hub answered {status} when asked for {name}.",
            "Try again later; what has arrived already is kept.",
        ) from error
    except (LocalEntryNotFoundError, HTTPError) as error:
        raise Offline(
            f"The hub could not be reached for {name}.",
            "Check the network and ask again: what has arrived already is kept. Or give the "
            "folder of a local copy.",
        ) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else f"{error}"
        raise StorageError(
            f"The download of {name} could not be stored: {what}.",
            "Free some space and ask again: what has arrived already is kept."
            if full
            else "Check that the folder can be written, or let HF_HOME name another one.",
        ) from error
