"""Settings: names, types, and what a wrong value says."""

import pytest

from slipstream import settings
from slipstream.errors import InvalidParameterError

pytestmark = pytest.mark.usefixtures("no_settings")


def test_every_setting_has_a_description() -> None:
    assert all(setting.description.endswith(".") for setting in settings.ALL.values())


def test_unset_means_default() -> None:
    assert settings.HTTP_REQUEST_MAX_RETRIES.get() == 7
    assert not settings.HTTP_REQUEST_MAX_RETRIES.is_set()


def test_mlflows_name_is_read_when_ours_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    assert settings.HTTP_REQUEST_MAX_RETRIES.get() == 3

    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "2")
    assert settings.HTTP_REQUEST_MAX_RETRIES.get() == 2


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("False", False), ("", False)])
def test_booleans(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("SLIPSTREAM_TRACKING_INSECURE_TLS", text)

    assert settings.TRACKING_INSECURE_TLS.get() is value


def test_wrong_value_names_variable_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon")

    with pytest.raises(InvalidParameterError, match=r"MLFLOW_HTTP_REQUEST_TIMEOUT has the value 'soon'"):
        settings.HTTP_REQUEST_TIMEOUT.get()
