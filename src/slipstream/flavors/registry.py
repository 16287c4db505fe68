"""Find a flavor by the name that stands in an MLmodel file."""

import importlib
import importlib.util
from importlib import metadata

from slipstream.models.flavor import Flavor

ENTRY_POINTS = "slipstream.flavors"


def find_flavor(name: str) -> Flavor | None:
    """Return the flavor of a name, ours or an installed plugin's; `None` if there is none.

    A flavor's own file has it as `FLAVOR`; a plugin's entry point names the object.
    """
    if not name.isidentifier() or not name.isascii():
        return None
    if importlib.util.find_spec(f"slipstream.flavors.{name}") is not None:
        return getattr(importlib.import_module(f"slipstream.flavors.{name}"), "FLAVOR", None)
    for entry in metadata.entry_points(group=ENTRY_POINTS, name=name):
        return entry.load()
    return None
