"""Whether any installed package has a plugin of a group: from names of folders and small files, in a few milliseconds.

`importlib.metadata` makes objects of all packages for that, ten times as long, and the first run of a process waits for it.
"""

import importlib.machinery
import os
import sys


def may_have_plugins(group: str) -> bool:
    """Tell whether it is worth to ask `importlib.metadata` for entry points of a group."""
    for finder in sys.meta_path:
        if finder is not importlib.machinery.PathFinder and hasattr(finder, "find_distributions"):
            return True  # packages may be anywhere
    word = group.encode()
    for place in sys.path:
        folder = place or os.curdir
        try:
            names = os.listdir(folder)  # noqa: PTH208  # names are all that is wanted
        except NotADirectoryError:  # an archive
            return True
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                try:
                    with open(f"{folder}/{name}/entry_points.txt", "rb") as file:  # noqa: PTH123  # a third of the time
                        if word in file.read():
                            return True
                except OSError:  # it has none
                    continue
            elif name.endswith(".egg"):
                return True
    return False
