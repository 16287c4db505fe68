"""Databases and models of every released version are read by this one: the same content, whatever the schema is now."""

import json
import math
import runpy
import shutil
import sqlite3
import warnings
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOOL: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "make_museum.py"))
MUSEUM: Path = TOOL["MUSEUM"]
ROOMS = sorted(path.name for path in MUSEUM.iterdir() if path.is_dir())


def assert_holds(found: Any, kept: Any, where: str = "") -> None:
    """Assert that all that was kept is found; later versions may know more fields."""
    if isinstance(kept, dict):
        assert isinstance(found, dict), where
        for key, value in kept.items():
            assert key in found, f"{where}: {key} is lost"
            assert_holds(found[key], value, f"{where}.{key}")
    elif isinstance(kept, list):
        assert isinstance(found, list), where
        assert len(found) == len(kept), where
        for index, (one, other) in enumerate(zip(found, kept, strict=True)):
            assert_holds(one, other, f"{where}[{index}]")
    else:
        assert found == kept, where


def test_the_present_schema_is_in_the_museum() -> None:
    assert TOOL["room_name"]() in ROOMS, "a migration is new: call `make museum` and commit its room"


@pytest.mark.parametrize("room", ROOMS)
def test_a_database_is_migrated_and_read(room: str, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    shutil.copyfile(MUSEUM / room / "museum.db", path)
    store = TOOL["open_database"](path)
    kept = json.loads((MUSEUM / room / "content.json").read_text("utf-8"))
    assert_holds(TOOL["read"](store), kept)

    # It is not only read: a new run beside the old ones.
    before = {run["info"]["run_id"] for run in kept["runs"]}
    run_id = store.create_run(kept["experiments"][0]["experiment_id"], "visitor").info.run_id
    assert run_id not in before
    store.close()
    with sqlite3.connect(path) as connection:
        newest = connection.execute("SELECT max(number) FROM schema_migrations").fetchone()[0]
    connection.close()
    assert f"{newest:04}" == TOOL["room_name"]()


@pytest.mark.parametrize("room", ROOMS)
def test_every_kind_of_entity_is_there(room: str) -> None:
    kept = json.loads((MUSEUM / room / "content.json").read_text("utf-8"))
    assert {each["lifecycle_stage"] for each in kept["experiments"]} == {"active", "deleted"}
    assert len({run["info"]["status"] for run in kept["runs"]}) == 5
    first = kept["runs"][0]
    assert first["inputs"]["dataset_inputs"]
    assert first["inputs"]["model_inputs"]
    assert first["outputs"]["model_outputs"]
    assert {each["status"] for each in kept["logged models"]} == {"READY", "FAILED", "PENDING"}
    assert len(kept["metric histories"]["run 0: loss"]) == 50
    assert {each["current_stage"] for each in kept["model versions"]} == {"Production", "Staging"}
    assert all(kept["runs by search"].values())
    if int(room) >= 7:  # the schema of branches
        assert [each["undone_time"] is None for each in kept["branches"]["run 0"]] == [False, True]
        assert len(kept["left behind"]["run 0 2: rewound"]) == 5
        assert len([each for each in kept["param histories"]["run 0"] if each["key"] == "rate"]) == 3


@pytest.mark.parametrize("room", ROOMS)
def test_models_are_loaded_and_asked(room: str) -> None:
    pytest.importorskip("sklearn", exc_type=ImportError)
    import numpy as np

    import slipstream
    from slipstream.models import Model

    models = MUSEUM / room / "models"
    for folder in models.iterdir():
        metadata = Model.load(str(folder))
        assert metadata.signature is not None
        assert metadata.flavors
    assert Model.load(str(models / "sklearn")).metadata == {"kept": "for ever"}
    x = np.array([[1.0, 2.0], [30.0, 4.0]])
    with warnings.catch_warnings():
        # scikit-learn says that the model is of an older version than its own: here that is the point.
        warnings.filterwarnings("ignore", message="Trying to unpickle estimator")
        answers = slipstream.pyfunc.load_model(str(models / "sklearn")).predict(x)
        linear = slipstream.sklearn.load_model(str(models / "sklearn"))
    assert np.allclose(answers, [3, 34])
    assert np.allclose(linear.coef_, [1, 1])
    code = slipstream.pyfunc.load_model(str(models / "code"), trust=True)
    assert code.predict([1.0, 2.0], params={"factor": 3.0}) == [3.0, 6.0]
    assert math.isclose(code.predict([1.5])[0], 3.0), "the params' defaults are kept"
