"""The one way in which autologging watches other libraries, tried on a library that the test makes."""

import inspect
import logging
import pickle
import subprocess
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from typing import Any

import pytest

from slipstream.autologging import imports
from slipstream.autologging.patching import MARK, Call, Observer, Patches, Steps, Watch
from slipstream.autologging.warnings_once import forget_told, set_silent


class Model:
    """Counts what is really called."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def fit(self, data: Any, *, fail: bool = False) -> str:
        self.calls.append(data)
        if fail:
            raise KeyError("the user's own")
        return f"fitted {data}"

    def nest(self, data: Any) -> str:
        return self.fit(data)


@pytest.fixture
def patches() -> Iterator[Patches]:
    forget_told()
    made = Patches()
    yield made
    made.remove()
    assert "fit" in vars(Model)
    assert not hasattr(Model.fit, MARK)


def watch(observer: Observer | None, name: str = "fit", **options: Any) -> Watch:
    return Watch("fake", name, observer, **options)


def test_an_observer_sees_before_and_after(patches: Patches) -> None:
    seen: list[Any] = []

    def observe(call: Call) -> Steps:
        seen.append(("before", call.given()["data"], call.result))
        yield
        seen.append(("after", call.result))

    patches.put(Model, "fit", watch(observe))
    model = Model()

    assert model.fit(3) == "fitted 3"
    assert seen == [("before", 3, None), ("after", "fitted 3")]
    assert model.calls == [3]


def test_an_observer_may_replace_arguments(patches: Patches) -> None:
    def observe(call: Call) -> Steps:
        call.args = (call.args[0], "other")
        yield

    patches.put(Model, "fit", watch(observe))

    assert Model().fit(3) == "fitted other"


@pytest.mark.parametrize("where", ["before", "after", "changed"])
def test_our_error_is_a_warning_once_and_nothing_else(
    patches: Patches, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    def observe(call: Call) -> Steps:
        if where == "changed":
            call.args = (call.args[0], "half done")
        if where != "after":
            raise ValueError("ours")
        yield
        raise ValueError("ours")

    patches.put(Model, "fit", watch(observe))
    model = Model()
    with caplog.at_level(logging.WARNING, "slipstream.autologging"):
        assert model.fit(3) == "fitted 3"
        assert model.fit(4) == "fitted 4"

    assert model.calls == [3, 4]  # once each
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "ValueError: ours" in caplog.text


def test_silent_warns_of_nothing(patches: Patches, caplog: pytest.LogCaptureFixture) -> None:
    def observe(call: Call) -> Steps:
        raise ValueError("ours")
        yield

    patches.put(Model, "fit", watch(observe))
    set_silent("fake", silent=True)
    try:
        Model().fit(3)
    finally:
        set_silent("fake", silent=False)

    assert not caplog.records


def test_the_users_error_passes_as_it_is(patches: Patches) -> None:
    ended: list[BaseException | None] = []

    def observe(call: Call) -> Steps:
        try:
            yield
        finally:
            ended.append(call.error)
            raise ValueError("ours, on the way out")

    patches.put(Model, "fit", watch(observe))
    model = Model()
    with pytest.raises(KeyError, match="the user's own") as caught:
        model.fit(3, fail=True)

    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-1] == "fit"
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert [type(error) for error in ended] == [KeyError]
    assert model.calls == [3]


def test_a_call_inside_a_call_is_part_of_it(patches: Patches) -> None:
    seen: list[str] = []

    def observe(call: Call) -> Steps:
        seen.append(call.original.__name__)
        yield
        call.args[0].fit("by ourselves")

    patches.put(Model, "fit", watch(observe))
    patches.put(Model, "nest", watch(observe, "nest"))
    model = Model()
    model.nest(1)
    model.fit(2)

    assert seen == ["nest", "fit"]
    assert model.calls == [1, "by ourselves", 2, "by ourselves"]


def test_a_watch_may_admit_another_inside(patches: Patches) -> None:
    seen: list[str] = []

    def observe(call: Call) -> Steps:
        seen.append(call.original.__name__)
        yield

    patches.put(Model, "fit", watch(observe))
    patches.put(Model, "nest", watch(observe, "nest", admits=frozenset({"fit"})))
    Model().nest(1)

    assert seen == ["nest", "fit"]


def test_nothing_inside_a_quiet_call_is_seen(patches: Patches) -> None:
    seen: list[str] = []

    def observe(call: Call) -> Steps:
        seen.append(call.original.__name__)
        yield

    patches.put(Model, "fit", watch(observe))
    patches.put(Model, "nest", watch(None, "nest"))
    Model().nest(1)

    assert seen == []


def test_threads_do_not_disturb_each_other(patches: Patches) -> None:
    both_inside = threading.Barrier(2, timeout=20)
    seen: list[Any] = []

    def observe(call: Call) -> Steps:
        both_inside.wait()
        seen.append(call.args[1])
        yield
        both_inside.wait()

    patches.put(Model, "fit", watch(observe))
    threads = [threading.Thread(target=Model().fit, args=(each,)) for each in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(seen) == [1, 2]


def test_an_interrupt_ends_the_observation(patches: Patches) -> None:
    ended: list[bool] = []

    def observe(call: Call) -> Steps:
        try:
            yield
        finally:
            ended.append(True)

    def interrupted(self: Any, data: Any) -> None:
        raise KeyboardInterrupt

    library = types.ModuleType("library")
    library.train = interrupted  # pyright: ignore[reportAttributeAccessIssue]
    patches.put(library, "train", watch(observe))
    with pytest.raises(KeyboardInterrupt):
        library.train(None, 1)

    assert ended == [True]


def test_watching_twice_is_watching_once(patches: Patches) -> None:
    seen: list[int] = []

    def observe(call: Call) -> Steps:
        seen.append(1)
        yield

    patches.put(Model, "fit", watch(observe))
    patches.put(Model, "fit", watch(observe))
    Model().fit(3)

    assert seen == [1]


def test_removing_restores_the_very_original(patches: Patches) -> None:
    class Child(Model):
        pass

    original = vars(Model)["fit"]
    patches.put(Child, "fit", watch(None))
    patches.put(Model, "fit", watch(None))
    assert vars(Model)["fit"] is not original

    patches.remove()

    assert vars(Model)["fit"] is original
    assert "fit" not in vars(Child)


def test_what_others_put_over_it_stays(patches: Patches) -> None:
    def train() -> str:
        return "trained"

    library = types.ModuleType("library")
    library.train = train  # pyright: ignore[reportAttributeAccessIssue]
    seen: list[int] = []

    def observe(call: Call) -> Steps:
        seen.append(1)
        yield

    is_on = [True]
    patches.put(library, "train", watch(observe, wanted=lambda: is_on[0]))
    ours = library.train

    def theirs() -> str:
        return f"theirs, {ours()}"

    library.train = theirs  # pyright: ignore[reportAttributeAccessIssue]
    patches.remove()
    is_on[0] = False

    assert library.train is theirs
    assert library.train() == "theirs, trained"
    assert seen == []


def test_properties_and_static_methods_are_left_alone(patches: Patches) -> None:
    class Other:
        @property
        def fit(self) -> str:
            return "property"

        @staticmethod
        def train() -> str:
            return "static"

    before = dict(vars(Other))
    patches.put(Other, "fit", watch(None))
    patches.put(Other, "train", watch(None))
    patches.put(Other, "missing", watch(None))

    assert dict(vars(Other)) == before


# -- libraries that are imported later --------------------------------------------------------------------


def test_modules_are_told_when_they_are_imported(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "fakelibrary"
    package.mkdir()
    (package / "__init__.py").write_text("from fakelibrary import part\nvalue = 1\n")
    (package / "part.py").write_text("thing = 2\n")
    (package / "data.txt").write_text("text")
    monkeypatch.syspath_prepend(str(tmp_path))
    told: list[str] = []

    def listener(module: types.ModuleType) -> None:
        told.append(module.__name__)
        raise ValueError("ours")

    finders = list(sys.meta_path)
    imports.listen("fakelibrary", listener)
    try:
        import importlib.resources

        import fakelibrary  # pyright: ignore[reportMissingImports]

        assert told == ["fakelibrary.part", "fakelibrary"]
        assert type(fakelibrary.__loader__).__name__ == "SourceFileLoader"
        assert fakelibrary.__spec__.loader is fakelibrary.__loader__
        assert importlib.resources.files("fakelibrary").joinpath("data.txt").read_text() == "text"
        imports.listen("fakelibrary", lambda module: told.append(f"again {module.__name__}"))
    finally:
        for name in ("fakelibrary", "fakelibrary.part"):
            sys.modules.pop(name, None)
        imports._listeners.pop("fakelibrary", None)
        imports.forget(listener)

    assert sorted(told[2:]) == ["again fakelibrary", "again fakelibrary.part"]
    assert [finder for finder in sys.meta_path if finder not in finders] == []


def test_turning_on_imports_no_library() -> None:
    libraries = "sklearn xgboost lightgbm statsmodels keras pytorch_lightning lightning torch transformers numpy pandas"
    program = f"""
import sys, slipstream
slipstream.autolog()
found = [name for name in {libraries.split()} if name in sys.modules]
assert not found, found
slipstream.autolog(disable=True)
assert not [finder for finder in sys.meta_path if "slipstream" in type(finder).__module__]
"""
    subprocess.run([sys.executable, "-c", program], check=True)


class _UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text either")


def test_an_error_without_text_stays_here_too(patches: Patches) -> None:
    def observe(call: Call) -> Steps:
        raise _UnspeakableError
        yield

    patches.put(Model, "fit", watch(observe))

    assert Model().fit(1) == "fitted 1"


def test_a_handler_of_logs_that_raises_reaches_no_training(patches: Patches) -> None:
    class Strict(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise AssertionError(record.getMessage())

    def observe(call: Call) -> Steps:
        yield
        raise ValueError("ours")

    handler = Strict()
    logging.getLogger("slipstream.autologging").addHandler(handler)
    try:
        patches.put(Model, "fit", watch(observe))
        assert Model().fit(1) == "fitted 1"
    finally:
        logging.getLogger("slipstream.autologging").removeHandler(handler)


def test_the_question_whether_to_watch_may_fail(patches: Patches) -> None:
    patches.put(Model, "fit", watch(None, wanted=lambda: bool(1 / 0)))

    assert Model().fit(1) == "fitted 1"


def test_an_inherited_method_that_is_watched_can_be_pickled(patches: Patches) -> None:
    patches.put(Heir, "nest", watch(None))

    assert pickle.loads(pickle.dumps(Heir.nest)) is Heir.nest
    assert inspect.signature(Heir.nest) == inspect.signature(Model.nest)


class Heir(Model):
    """Has all from its parent."""
