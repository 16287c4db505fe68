"""Who may run code here: files this user saved as they are, or a caller who says so; nobody else."""

import os
import stat

import pytest

from slipstream.errors import InvalidParameterError, InvalidStateError, UntrustedModelError
from slipstream.models import trust


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "home"))
    for name in ("SLIPSTREAM_ALLOW_PICKLE", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


@pytest.fixture
def file(root):
    path = root / "model.pkl"
    path.write_bytes(b"pickle")
    return path


def test_an_unknown_file_is_refused_and_the_message_says_how_to_go_on(root, file):
    with pytest.raises(
        UntrustedModelError, match=r"model\.pkl.*trust=True.*--trust.*SLIPSTREAM_ALLOW_PICKLE"
    ):
        trust.require(root, [file], what="a pickled model", trust=None)


def test_a_remembered_file_is_trusted_until_one_byte_changes(root, file):
    trust.remember(root, [file])
    trust.require(root, [file], what="a pickled model", trust=None)
    file.write_bytes(b"pickle!")
    with pytest.raises(UntrustedModelError):
        trust.require(root, [file], what="a pickled model", trust=False)


def test_the_same_files_in_another_folder_are_trusted_too(root, file, tmp_path):
    trust.remember(root, [file])
    copy = tmp_path / "downloaded"
    copy.mkdir()
    (copy / "model.pkl").write_bytes(b"pickle")
    trust.require(copy, [copy / "model.pkl"], what="a pickled model", trust=None)


@pytest.mark.parametrize("change", ["more", "less", "renamed", "facts", "no facts"])
def test_files_are_trusted_together_with_their_places_and_settings(root, file, change):
    other = root / "data" / "weights"
    other.parent.mkdir()
    other.write_text("x = 1")
    trust.remember(root, [file, other], {"loader": "a", "config": {"b": 1.5}})
    trust.require(root, [other, file], {"config": {"b": 1.5}, "loader": "a"}, what="a model", trust=None)
    files, facts = [file, other], {"loader": "a", "config": {"b": 1.5}}
    if change == "more":
        (root / "third").write_text("")
        files.append(root / "third")
    elif change == "less":
        files.pop()
    elif change == "renamed":
        files[1] = other.rename(root / "weights")
    else:
        facts = {"loader": "b", "config": {"b": 1.5}} if change == "facts" else None
    with pytest.raises(UntrustedModelError, match=r"model\.pkl"):
        trust.require(root, files, facts, what="a model", trust=None)


def test_packing_a_file_into_a_model_vouches_for_it_there_only(root, file):
    wrapper = root / "wrapper.pkl"
    wrapper.write_bytes(b"mine")
    trust.remember(root, [wrapper, file])
    with pytest.raises(UntrustedModelError):
        trust.require(root, [file], what="a pickled model", trust=None)


def test_the_caller_may_vouch(root, file):
    trust.require(root, [file], what="a pickled model", trust=True)


@pytest.mark.parametrize("name", ["SLIPSTREAM_ALLOW_PICKLE", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"])
def test_a_setting_may_vouch(root, file, monkeypatch, name):
    monkeypatch.setenv(name, "true")
    trust.require(root, [file], what="a pickled model", trust=None)
    monkeypatch.setenv(name, "false")
    with pytest.raises(UntrustedModelError):
        trust.require(root, [file], what="a pickled model", trust=None)


def test_what_was_checked_is_what_is_read(root, file):
    beside = root / "beside"
    beside.write_text("b")
    with pytest.raises(UntrustedModelError, match=r"model\.pkl"):
        trust.read(root, [file], [beside], what="a pickled model", trust=None)
    trust.remember(root, [file, beside])
    assert trust.read(root, [file], [beside], what="a pickled model", trust=None) == [b"pickle"]
    beside.write_text("c")
    with pytest.raises(UntrustedModelError):
        trust.read(root, [file], [beside], what="a pickled model", trust=None)
    assert trust.read(root, [file], [beside], what="a pickled model", trust=True) == [b"pickle"]


def test_no_file_at_all_is_trusted_only_if_it_was_saved_so(root):
    with pytest.raises(UntrustedModelError):
        trust.require(root, [], {"loader": "a"}, what="a model", trust=None)
    trust.remember(root, [], {"loader": "a"})
    trust.require(root, [], {"loader": "a"}, what="a model", trust=None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_no_model_file(root):
    pipe = root / "model.pkl"
    os.mkfifo(pipe)
    for trusted in (None, True):
        with pytest.raises(InvalidParameterError, match="not a plain file"):
            trust.read(root, [pipe], what="a pickled model", trust=trusted)
    with pytest.raises(InvalidParameterError, match="not a plain file"):
        trust.require(root, [pipe], what="a pickled model", trust=None)


def test_the_trust_folder_is_private_and_holds_names_only(root, file):
    trust.remember(root, [file])
    folder = trust.home() / "trusted"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (entry,) = folder.iterdir()
    assert len(entry.name) == 64
    assert entry.stat().st_size == 0


def test_a_trust_folder_that_others_can_write_counts_for_nothing(root, file):
    trust.remember(root, [file])
    (trust.home() / "trusted").chmod(0o777)
    with pytest.raises(InvalidStateError, match="others may write"):
        trust.require(root, [file], what="a pickled model", trust=None)


def test_a_home_that_cannot_be_written_to_costs_trust_and_no_model(root, file, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "taken"))
    with pytest.warns(UserWarning, match="cannot be remembered.*SLIPSTREAM_HOME"):
        trust.remember(root, [file])
