"""Sphinx's configuration. Builds without the network: no inventories of other projects, no fonts or scripts from hosts."""

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))["project"]

project = _PROJECT["name"]
release = version = _PROJECT["version"]
author = "the slipstream authors"
project_copyright = author

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True
html_theme = "furo"
html_title = project
html_show_copyright = False
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
