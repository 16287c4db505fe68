"""Watch functions of other libraries: the one way in which autologging puts itself before and behind a call.

An observer is a generator function that takes the `Call` and yields once. What stands before the `yield` runs before
the original and may replace `call.args` and `call.kwargs`; what stands behind runs after, with `call.result`. The
original is called exactly once whatever the observer does; what it returns or raises reaches the caller as it is. An
error of an observer is a warning, once a kind.

Calls inside a watched call are part of it and are not watched, unless the outer watch says that it `admits` them. That
is known per thread, so threads that train beside each other do not disturb each other.
"""

import functools
import inspect
import threading
from collections.abc import Callable, Generator
from typing import Any, Protocol, cast

from slipstream.autologging.warnings_once import warn_once
from slipstream.client.hurry import HURRY

MARK = "__slipstream_watch__"
"""Attribute of the functions that stand in an original's place."""


class Call:
    """One call of a watched function; of a method, `args[0]` is the object."""

    __slots__ = ("args", "error", "kwargs", "original", "result")

    def __init__(self, original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.original = original
        self.args = args
        self.kwargs = kwargs
        self.result: Any = None
        self.error: BaseException | None = None
        """What the original raised."""

    def given(self) -> dict[str, Any]:
        """Return the arguments by name, as the caller gave them."""
        return dict(inspect.signature(self.original).bind(*self.args, **self.kwargs).arguments)


Steps = Generator[None, None, None]
Observer = Callable[[Call], Steps]


class Watch:
    """What is watched, for whom, and what of it happens inside other watched calls.

    Args:
        flavor: Whose autologging it is.
        name: How warnings and `admits` call it.
        observer: See above; `None` only keeps what happens inside from being watched.
        admits: Names of watches that are also watched inside this one.
        wanted: Asked at each call, cheaply; false passes the call through.
    """

    __slots__ = ("admits", "flavor", "name", "observer", "wanted")

    def __init__(
        self,
        flavor: str,
        name: str,
        observer: Observer | None,
        *,
        admits: frozenset[str] = frozenset(),
        wanted: Callable[[], bool] | None = None,
    ) -> None:
        self.flavor = flavor
        self.name = name
        self.observer = observer
        self.admits = admits
        self.wanted = wanted


class _Thread(threading.local):
    within: Watch | None = None
    """The innermost watch whose call is under way in this thread."""


_thread = _Thread()


def is_within_call() -> bool:
    """Tell whether a watched call is under way in this thread."""
    return _thread.within is not None


def _is_wanted(watch: Watch) -> bool:
    if watch.wanted is None:
        return True
    try:
        return watch.wanted()
    except Exception as error:  # noqa: BLE001  # ours, so it stays here
        warn_once(watch.flavor, watch.name, error)
        return False


def start(observer: Observer, call: Call, flavor: str, name: str) -> Steps | None:
    """Run the part before the original; without result if it failed, and then the call is as the caller made it."""
    args, kwargs = call.args, call.kwargs
    try:
        with HURRY:
            steps = observer(call)
            next(steps)
    except StopIteration:  # it wants nothing of what comes after
        return None
    except Exception as error:  # noqa: BLE001  # ours, so it stays here
        call.args, call.kwargs = args, kwargs
        warn_once(flavor, name, error)
        return None
    return steps


def finish(steps: Steps, call: Call, flavor: str, name: str) -> None:
    """Run the part after the original; after an error of the original only what is in `finally`."""
    try:
        with HURRY:
            if call.error is None:
                next(steps, None)
            steps.close()
    except Exception as error:  # noqa: BLE001  # ours, so it stays here
        warn_once(flavor, name, error)


def watching(original: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    """Return a function that does what the original does, and is watched."""

    @functools.wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        outer = _thread.within
        if (outer is not None and watch.name not in outer.admits) or not _is_wanted(watch):
            return original(*args, **kwargs)
        _thread.within = watch
        try:
            if watch.observer is None:
                return original(*args, **kwargs)
            call = Call(original, args, kwargs)
            steps = start(watch.observer, call, watch.flavor, watch.name)
            if steps is None:
                return original(*args, **kwargs)
            try:
                result = call.result = original(*call.args, **call.kwargs)
            except BaseException as error:
                call.error = error
                finish(steps, call, watch.flavor, watch.name)
                call.error = None  # an error that knows the frame which knows it is not freed for long
                raise
            finish(steps, call, watch.flavor, watch.name)
            return result
        finally:
            _thread.within = outer

    setattr(watched, MARK, watch)
    return watched


def as_list(given: Any) -> list[Any]:
    """Return an argument that may be one thing, several or none as a list of its own."""
    if given is None:
        return []
    return list(cast("list[Any]", given)) if isinstance(given, (list, tuple)) else [given]


def classes_of(module: Any) -> list[type]:
    """Return the classes that a module names."""
    return [each for each in list(cast("dict[str, Any]", vars(module)).values()) if inspect.isclass(each)]


# -- putting watches in place, and taking them away ---------------------------------------------------------


class Patch:
    """One function that stands in an original's place."""

    __slots__ = ("_name", "_original", "_own", "_owner", "_watched")

    def __init__(self, owner: Any, name: str, original: Any, watched: Any, *, own: bool) -> None:
        self._owner = owner
        self._name = name
        self._original = original
        self._watched = watched
        self._own = own

    def remove(self) -> None:
        """Put the original back, unless somebody else has replaced ours since: then theirs stays, and ours in it."""
        if cast("dict[str, Any]", vars(self._owner)).get(self._name) is not self._watched:
            return
        if self._own:
            setattr(self._owner, self._name, self._original)
        else:
            delattr(self._owner, self._name)


class Removable(Protocol):
    def remove(self) -> None: ...


class Patches:
    """The patches of one flavor."""

    def __init__(self) -> None:
        self._all: list[Removable] = []
        self._lock = threading.RLock()

    def put(self, owner: Any, name: str, watch: Watch) -> None:
        """Watch a module's function or a class's method, also one that it inherits; nothing if it is watched already.

        scikit-learn's methods that are there only under a condition are watched in their descriptor. What is neither
        of these (a property, a static method) is left alone.
        """
        with self._lock:
            try:
                found = inspect.getattr_static(owner, name)
            except AttributeError:
                return
            if inspect.isclass(owner) and not callable(found):
                inner = cast("Any", getattr(found, "fn", None))
                if hasattr(found, "__get__") and inspect.isfunction(inner):
                    self.put(found, "fn", watch)
                return
            if not callable(found) or isinstance(found, (staticmethod, classmethod)) or hasattr(found, MARK):
                return
            watched = watching(cast("Callable[..., Any]", found), watch)
            own = name in vars(owner)
            # A pickle that names a function must find this one.
            if inspect.ismodule(owner):
                watched.__module__, watched.__qualname__ = owner.__name__, name
            elif inspect.isclass(owner) and not own:
                watched.__module__, watched.__qualname__ = owner.__module__, f"{owner.__qualname__}.{name}"
            setattr(owner, name, watched)
            self._all.append(Patch(owner, name, found, watched, own=own))

    def add(self, other: Removable) -> None:
        """Take in what is to be removed with these patches."""
        with self._lock:
            self._all.append(other)

    def remove(self) -> None:
        with self._lock:
            while self._all:
                self._all.pop().remove()
