"""Which packages are installed, as a file that `uv pip sync` takes.

Only names of folders are read, and one small file of packages that came from an address: some milliseconds for hundreds of
them, where reading all of their descriptions would take a second.
"""

import json
import os
import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from slipstream.client.context.git import without_credentials

_DIST_INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.(?:dist-info|egg-info)\Z")


def requirements_lock(places: Iterable[str]) -> str:
    """Return one line for each installed package, and above them for which Python and platform."""
    found: dict[str, str] = {}
    for place in places:
        folder = place or os.curdir
        try:
            names = os.listdir(folder)  # noqa: PTH208  # names are all that is wanted
        except OSError:
            continue
        for each in names:
            match = _DIST_INFO.match(each)
            if match is None:
                continue
            key = re.sub(r"[-_.]+", "-", match["name"]).lower()
            if key not in found:  # what comes first on the path is what is imported
                found[key] = _line(key, match["version"], Path(folder) / each)
    head = [
        f"# Python {platform.python_version()} ({sys.implementation.name})",
        f"# {platform.platform()}",
    ]
    return "\n".join([*head, *(found[key] for key in sorted(found))]) + "\n"


def _line(name: str, version: str, folder: Path) -> str:
    try:
        text = (folder / "direct_url.json").read_text(encoding="utf-8")
        origin: dict[str, Any] = json.loads(text)
        url = without_credentials(str(origin["url"]))
        below = f"#subdirectory={origin['subdirectory']}" if origin.get("subdirectory") else ""
        if "vcs_info" in origin:
            info = origin["vcs_info"]
            return f"{name} @ {info['vcs']}+{url}@{info['commit_id']}{below}"
        if "archive_info" in origin and not url.startswith("file:"):
            return f"{name} @ {url}{below}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{name}=={version}"
    # A folder or file of this machine is nowhere else.
    return f"# {name}=={version} was installed from {url}"
