"""The order in which people look for names: numbers in them by their value, letters whatever their case."""

import re

_NUMBER = re.compile(r"(\d+)")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return what to sort a name by: `layer 2` is before `Layer 10`."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part.casefold())
        for part in _NUMBER.split(name)
        if part
    ]
