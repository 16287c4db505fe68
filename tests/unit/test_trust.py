"""Who may run code here: files this user saved, or a caller who says so; nobody else."""

import stat

import pytest

from slipstream.errors import InvalidStateError, UntrustedModelError
from slipstream.models import trust


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "home"))
    for name in ("SLIPSTREAM_ALLOW_PICKLE", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"pickle")
    return path


def test_an_unknown_file_is_refused_and_the_message_says_how_to_go_on(file):
    with pytest.raises(
        UntrustedModelError, match=r"model\.pkl.*trust=True.*--trust.*SLIPSTREAM_ALLOW_PICKLE"
    ):
        trust.require([file], what="a pickled model", trust=None)


def test_a_remembered_file_is_trusted_until_one_byte_changes(file):
    trust.remember([file])
    trust.require([file], what="a pickled model", trust=None)
    file.write_bytes(b"pickle!")
    with pytest.raises(UntrustedModelError):
        trust.require([file], what="a pickled model", trust=False)


def test_one_unknown_file_among_many_is_enough_to_refuse(file, tmp_path):
    trust.remember([file])
    other = tmp_path / "code.py"
    other.write_text("x = 1")
    with pytest.raises(UntrustedModelError, match=r"code\.py"):
        trust.require([file, other], what="a model", trust=None)


def test_the_caller_may_vouch(file):
    trust.require([file], what="a pickled model", trust=True)


@pytest.mark.parametrize("name", ["SLIPSTREAM_ALLOW_PICKLE", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"])
def test_a_setting_may_vouch(file, monkeypatch, name):
    monkeypatch.setenv(name, "true")
    trust.require([file], what="a pickled model", trust=None)
    monkeypatch.setenv(name, "false")
    with pytest.raises(UntrustedModelError):
        trust.require([file], what="a pickled model", trust=None)


def test_the_trust_folder_is_private(file):
    trust.remember([file])
    folder = trust.home() / "trusted"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [entry.name for entry in folder.iterdir()] == [trust.digest(file)]
    assert next(folder.iterdir()).stat().st_size == 0


def test_a_trust_folder_that_others_can_write_counts_for_nothing(file):
    trust.remember([file])
    (trust.home() / "trusted").chmod(0o777)
    with pytest.raises(InvalidStateError, match="others may write"):
        trust.require([file], what="a pickled model", trust=None)


def test_only_digests_are_looked_up():
    assert not trust.is_trusted("../../etc/passwd")
