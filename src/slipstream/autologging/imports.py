"""Tell of modules when they are imported, without importing any."""

import importlib.abc
import importlib.machinery
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from slipstream.autologging.warnings_once import warn_once

Listener = Callable[[ModuleType], None]

_listeners: dict[str, list[Listener]] = {}
"""By the first part of a module's name."""
_lock = threading.RLock()
_looking = threading.local()


class _Finder(importlib.abc.MetaPathFinder):
    """Lets all other finders find, and puts itself between a module and its loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in _listeners or fullname in getattr(_looking, "names", ()):
            return None
        _looking.names = {*getattr(_looking, "names", ()), fullname}
        try:
            spec = _find_elsewhere(self, fullname, path, target)
        finally:
            _looking.names = _looking.names - {fullname}
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader)
        return spec


def _find_elsewhere(
    ours: _Finder, fullname: str, path: Sequence[str] | None, target: ModuleType | None
) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
        if finder is ours or not hasattr(finder, "find_spec"):
            continue
        spec = finder.find_spec(fullname, path, target)
        if spec is not None:
            return spec
    return None


class _Loader(importlib.abc.Loader):
    """Another loader, which is put back before the module can see this one."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _tell(sys.modules.get(module.__name__, module))


_finder = _Finder()


def _tell(module: ModuleType) -> None:
    for listener in tuple(_listeners.get(module.__name__.partition(".")[0], ())):
        _call(listener, module)


def _call(listener: Listener, module: ModuleType) -> None:
    try:
        listener(module)
    except Exception as error:  # noqa: BLE001  # an import must not fail for us
        warn_once(module.__name__.partition(".")[0], "watching a module", error)


def listen(root: str, listener: Listener) -> None:
    """Call a function for each module of a package: those that are imported, now, and each later one after its import."""
    with _lock:
        _listeners.setdefault(root, []).append(listener)
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == root and isinstance(module, ModuleType):  # pyright: ignore[reportUnnecessaryIsInstance]  # anything may be put there
            _call(listener, module)


def forget(listener: Listener) -> None:
    """Call a function no more; without any the import system is as it was."""
    with _lock:
        for root in list(_listeners):
            _listeners[root] = [each for each in _listeners[root] if each != listener]
            if not _listeners[root]:
                del _listeners[root]
        if not _listeners and _finder in sys.meta_path:
            sys.meta_path.remove(_finder)
