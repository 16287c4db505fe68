"""One import hook: it answers for `mlflow` and everything below it, and for what is asked about the distribution."""

import importlib
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from slipstream.errors import InvalidStateError
from slipstream.stand_in import places
from slipstream.wire.compatibility import MLFLOW_VERSION

_PACKAGE = "mlflow"
_DISTRIBUTIONS = ("mlflow", "mlflow-skinny")
_PAGE = "docs/reference/python-api.md"
_METADATA = "METADATA"


class StandInModule(ModuleType):
    """A module of MLflow's name whose attributes are those of our modules: the same objects, so `isinstance` holds."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        """Pickle by name, as cloudpickle does with modules; a Python with the real mlflow reads it, too."""
        return importlib.import_module, (self.__name__,)

    def __getattr__(self, name: str) -> Any:
        """Return a submodule, or what one of our modules has under this name; it is kept, so it is asked once."""
        if name == "__all__":
            return sorted(self._names())
        if name.startswith("__"):  # what Python itself asks modules for
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        child = f"{self.__name__}.{name}"
        if places.homes(child) is not None:
            return importlib.import_module(child)  # which sets the attribute
        for home in places.homes(self.__name__) or ():
            owner = importlib.import_module(home)
            try:
                value = getattr(owner, name)
            except AttributeError:
                continue
            self.__dict__[name] = value
            return value
        raise AttributeError(_not_there(child), name=name, obj=self)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self._names(), *places.children(self.__name__)})

    def _names(self) -> set[str]:
        names: set[str] = set()
        for home in places.homes(self.__name__) or ():
            owner = importlib.import_module(home)
            names.update(getattr(owner, "__all__", None) or [n for n in dir(owner) if not n.startswith("_")])
        return names


class Finder:
    """Stands first in `sys.meta_path`, so that an installed mlflow is never looked at."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to make a module of MLflow's name; of those that we do not have, say so.

        Raises:
            ModuleNotFoundError: the module is being imported, and slipstream has nothing in its place.
        """
        if fullname.partition(".")[0] != _PACKAGE:
            return None
        if places.homes(fullname) is None:
            # `importlib.util.find_spec` asks the same question, and wants None for an answer. Without a name in
            # the error Python does not take it for its own and show another.
            if _is_import():
                raise ModuleNotFoundError(_not_there(fullname))
            return None
        # All are packages, since some have submodules.
        spec = ModuleSpec(fullname, self, origin=__file__, is_package=True)  # pyright: ignore[reportArgumentType]
        spec.has_location = True  # `__file__`, which Python shows where a name is missing
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ == _PACKAGE:
            module.__dict__["__version__"] = MLFLOW_VERSION

    def find_distributions(self, context: Any = None) -> Iterable[Any]:
        """Answer `importlib.metadata.version("mlflow")`; lists of all that is installed stay as they are."""
        name = getattr(context, "name", None)
        if name is None or name.lower().replace("_", "-") not in _DISTRIBUTIONS:
            return []
        from importlib.metadata import Distribution

        class StandInDistribution(Distribution):
            def read_text(self, filename: str) -> str | None:
                if filename != _METADATA:
                    return None
                return f"Metadata-Version: 2.1\nName: {name}\nVersion: {MLFLOW_VERSION}\n"

            def locate_file(self, path: Any) -> Any:
                from pathlib import Path

                return Path(__file__).parent / path

        return [StandInDistribution()]


def install() -> None:
    """Put the hook first, once.

    Raises:
        InvalidStateError: another module of the name has been imported.
    """
    loaded = sys.modules.get(_PACKAGE)
    if loaded is not None and not isinstance(loaded, StandInModule):
        raise InvalidStateError(
            "slipstream cannot stand in for mlflow: the real one has been imported already"
            f" (from {getattr(loaded, '__file__', None)}). Call slipstream.as_mlflow() before anything imports mlflow, "
            "or start the program with: slipstream exec script.py"
        )
    if not any(isinstance(each, Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, Finder())  # pyright: ignore[reportArgumentType]


def _is_import() -> bool:
    """Tell whether the import system asks in order to import, not a program that only wants to know."""
    # This function, find_spec, the import system's search, and what wants it.
    frame = sys._getframe(3)  # pyright: ignore[reportPrivateUsage]
    return frame.f_code.co_name == "_find_and_load_unlocked"


def _not_there(name: str) -> str:
    return (
        f"slipstream stands in for mlflow in this process (slipstream.as_mlflow() or slipstream exec) and has no '{name}'."
        f" {_PAGE} lists what is not there; without the stand-in, 'import mlflow' gives the real one if it is installed."
    )
