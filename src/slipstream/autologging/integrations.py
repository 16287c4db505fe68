"""Which libraries are watched, with which options, and since when."""

import importlib
import importlib.metadata
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from slipstream.autologging import imports
from slipstream.autologging.patching import Patches
from slipstream.autologging.warnings_once import set_silent, warn_once
from slipstream.errors import InvalidParameterError

Watcher = Callable[[ModuleType, "Integration"], None]
"""Puts the watches of one imported module in place."""

AUTOLOGGING_TAG = "mlflow.autologging"
_lock = threading.RLock()


class Integration:
    """One library's autologging.

    Args:
        flavor: Its name, of the module that offers `autolog`.
        packages: Whose modules are watched when they are imported.
        watcher: Is told of each module.
        defaults: Every option of its `autolog` function.
        distribution: What carries the version.
        tested: First version that this was tested with, and the first that it was not.
    """

    def __init__(
        self,
        flavor: str,
        packages: Sequence[str],
        watcher: Watcher,
        defaults: Mapping[str, Any],
        *,
        distribution: str,
        tested: tuple[str, str],
    ) -> None:
        self.flavor = flavor
        self.defaults = dict(defaults)
        self.options = dict(defaults)
        self.patches = Patches()
        self.is_on = False
        self.is_chosen = False
        """The user called this library's own `autolog`, which holds against `slipstream.autolog`."""
        self._packages = packages
        self._watcher = watcher
        self._distribution = distribution
        self._tested = tested

    def set(self, options: Mapping[str, Any], *, chosen: bool) -> None:
        """Turn on with these options, or off; may be called at any time and any number of times.

        Raises:
            InvalidParameterError: an option has a value that it cannot have.
        """
        tags = options.get("extra_tags")
        if tags is not None and not isinstance(tags, Mapping):
            raise InvalidParameterError(
                f"extra_tags must be a dictionary of tags, got a {type(tags).__name__}"
            )
        with _lock:
            self.options = {**self.defaults, **options}
            self.is_chosen = chosen
            set_silent(self.flavor, silent=bool(self.options.get("silent")))
            if self.options.get("disable"):
                self.is_on = False
                imports.forget(self._on_module)
                self.patches.remove()
            elif not self.is_on:
                self.is_on = True
                for package in self._packages:
                    imports.listen(package, self._on_module)

    def wants(self) -> bool:
        """Tell whether calls are to be logged now; a call may still be under way when it is turned off."""
        return self.is_on and not (
            self.options.get("disable_for_unsupported_versions") and not self._is_tested()
        )

    def _on_module(self, module: ModuleType) -> None:
        if self.is_on:
            self._watcher(module, self)

    def _is_tested(self) -> bool:
        try:
            version = importlib.metadata.version(self._distribution)
        except importlib.metadata.PackageNotFoundError:
            return True
        first, end = self._tested
        if _parts(first) <= _parts(version) < _parts(end):
            return True
        warn_once(
            self.flavor,
            "the check of versions",
            f"{self._distribution} {version} is not from {first} to below {end}, which this was tested with.",
        )
        return False


def _parts(version: str) -> list[int]:
    return [int(each) for each in re.findall(r"\d+", version)[:3]]


FLAVORS = ("sklearn", "xgboost", "lightgbm", "statsmodels", "pytorch", "keras", "transformers")
"""Those that can be logged; each is a file of this folder with an `INTEGRATION`."""


def find(flavor: str) -> Integration:
    return importlib.import_module(f"slipstream.autologging.{flavor}").INTEGRATION


def set_all(options: Mapping[str, Any], exclude: Sequence[str]) -> None:
    """Set every library that the user has not set by its own function and does not exclude."""
    for flavor in FLAVORS:
        integration = find(flavor)
        if flavor in exclude or integration.is_chosen:
            continue
        integration.set(
            {name: value for name, value in options.items() if name in integration.defaults}, chosen=False
        )
