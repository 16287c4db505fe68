"""Finds what a model's URI means, brings its files to this machine, and starts workers for it."""

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from slipstream.client.addresses import get_registry_uri
from slipstream.client.artifacts import find_local
from slipstream.client.connect import connect
from slipstream.client.model_uris import find_version, is_model_uri, parse_model_uri
from slipstream.models.locations import is_remote, local_model_folder
from slipstream.serving.catalog import Source
from slipstream.serving.frames import Start
from slipstream.serving.link import Process, start_process
from slipstream.serving.pool import PoolLimits, WorkerPool


@dataclass(frozen=True, kw_only=True)
class ModelLoader:
    """Implements `slipstream.serving.catalog.Loader`."""

    limits: PoolLimits
    trust: bool | None = None
    joined: bool | None = None
    max_new_tokens: int | None = None
    max_prompt_tokens: int | None = None
    interpreter: Callable[[str], str] | None = None
    """Returns the Python that a model is to run in, building its environment if need be; None: this one."""
    say: Callable[[str], None]
    _fetched: set[Path] = field(default_factory=set[Path])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, uri: str) -> Source:
        if not is_model_uri(uri):
            return Source(None, uri if is_remote(uri) else str(local_model_folder(uri).absolute()))
        parts = parse_model_uri(uri)
        if parts.model_id is not None:
            return Source(None, uri)
        version = find_version(connect(get_registry_uri()).store, parts)
        below = f"/{parts.path}" if parts.path else ""
        return Source(version.version, f"models:/{version.name}/{version.version}{below}")

    def fetch(self, source: Source) -> Path:
        if not is_remote(source.uri):
            return local_model_folder(source.uri).absolute()
        local = find_local(source.uri)
        if local is not None:
            return local_model_folder(local).absolute()
        # Open to this user only, and removed when the version is unloaded: it may be gigabytes.
        folder = Path(tempfile.mkdtemp(prefix="slipstream-model-"))
        with self._lock:
            self._fetched.add(folder)
        try:
            return local_model_folder(source.uri, folder).absolute()
        except BaseException:
            self.release(folder)
            raise

    def close(self) -> None:
        """Remove all that `fetch` made, also what it has not finished."""
        for folder in list(self._fetched):
            self.release(folder)

    def release(self, folder: Path) -> None:
        with self._lock:
            own = next((each for each in self._fetched if folder.is_relative_to(each)), None)
            if own is not None:
                self._fetched.discard(own)
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)

    def pool(self, name: str, source: Source, folder: Path) -> WorkerPool:
        python = sys.executable if self.interpreter is None else self.interpreter(str(folder))
        variables = self._variables()

        def begin() -> Process:
            return start_process(python, variables)

        start = Start(
            folder=str(folder),
            name=name,
            trust=self.trust,
            threads=self.limits.threads,
            joined=self.joined,
            max_new_tokens=self.max_new_tokens,
            max_prompt_tokens=self.max_prompt_tokens,
        )
        return WorkerPool(start, begin, self.limits, self.say)

    def _variables(self) -> dict[str, str]:
        """Share the processors among workers: libraries would each take all of them."""
        if self.limits.workers == 1 or "OMP_NUM_THREADS" in os.environ:
            return {}
        return {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // self.limits.workers))}
