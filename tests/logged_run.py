"""Runs with files, for tests of pages that show them."""

import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from slipstream.client.client import SlipstreamClient


def log_run(
    client: SlipstreamClient,
    folder: Path,
    files: Mapping[str, str | bytes] | None = None,
    *,
    experiment: str = "0",
    name: str = "a run",
    tags: Mapping[str, str] | None = None,
) -> str:
    """Make a finished run with files; return its id."""
    run_id = client.create_run(experiment, run_name=name, tags=dict(tags or {})).info.run_id
    if files:
        for path, content in files.items():
            target = folder / run_id / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        client.log_artifacts(run_id, str(folder / run_id))
    client.set_terminated(run_id)
    return run_id


def png(width: int = 4, height: int = 3) -> bytes:
    """A picture of red points."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = b"".join(b"\0" + b"\xff\0\0" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def notebook(*cells: Mapping[str, object]) -> str:
    about = {"language_info": {"name": "python"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": about, "cells": cells})
