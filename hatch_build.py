"""Build the web pages of `ui/` when a wheel, an editable install or an sdist is made from a checkout.

Nothing is done where the built pages are newer than their sources (as in an sdist, which has them), or with SLIPSTREAM_SKIP_UI=1,
which leaves a server with its REST API alone.
"""

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class UiHook(BuildHookInterface[Any]):
    """What hatchling calls."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what the build needs beside hatchling: Node, where the machine has none."""
        build = self._build()
        return [] if build is None or build.node_of_machine() else [build.NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the pages before files are gathered.

        In an editable install, without which nobody could work here, a build that fails is told and left out: `make ui` makes
        up for it. A wheel without pages is never made by mistake.
        """
        build = self._build()
        if build is None:
            return
        try:
            build.build_ui(Path(self.root))
        except (OSError, subprocess.CalledProcessError) as error:
            if version != "editable":
                raise
            self.app.display_warning(
                f"The web pages could not be built ({error}). The server works without; try: make ui"
            )

    def _build(self) -> ModuleType | None:
        """Return `ui/build.py` if there is something to build."""
        path = Path(self.root, "ui", "build.py")
        if os.environ.get("SLIPSTREAM_SKIP_UI", "") not in ("", "0") or not path.is_file():
            return None
        spec = importlib.util.spec_from_file_location("slipstream_ui_build", path)
        assert spec is not None, "it is a file"
        assert spec.loader is not None, "it ends in .py"
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module if module.is_stale(Path(self.root)) else None
