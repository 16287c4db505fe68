"""The source rules of model versions that need no store; the rest is in `VersionSourceContract`."""

import pytest

from slipstream.errors import InvalidParameterError
from slipstream.rules import sources
from slipstream.rules.sources import ModelSource


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("models:/m-1234", ModelSource(model_id="m-1234")),
        ("models:/net/12", ModelSource(name="net", version="12")),
        ("models:/net@best", ModelSource(name="net", alias="best")),
        ("models:/a@b@best", ModelSource(name="a@b", alias="best")),
        ("models:/net/Latest", ModelSource(name="net")),
        ("models:/net/Production", ModelSource(name="net", stage="Production")),
    ],
)
def test_models_uris_are_taken_apart(uri, expected):
    assert sources.parse_models_uri(uri) == expected


@pytest.mark.parametrize(
    "uri", ["models:/", "models:net/1", "models://host/net/1", "models:/a/b/c", "models:/net", "models:/@x"]
)
def test_other_models_uris_are_refused(uri):
    with pytest.raises(InvalidParameterError, match="source"):
        sources.parse_models_uri(uri)


@pytest.mark.parametrize(
    ("source", "root", "inside"),
    [
        ("mlflow-artifacts:/1/r/artifacts/model", "mlflow-artifacts:/1/r/artifacts", True),
        ("mlflow-artifacts:/1/r/artifacts", "mlflow-artifacts:/1/r/artifacts/", True),
        ("mlflow-artifacts:/1/%72/artifacts/x", "mlflow-artifacts:/1/r/artifacts", True),
        ("mlflow-artifacts:/1/r/artifacts2", "mlflow-artifacts:/1/r/artifacts", False),
        ("mlflow-artifacts://host/1/r/artifacts", "mlflow-artifacts:/1/r/artifacts", False),
        ("http://h/1/r/artifacts", "https://h/1/r/artifacts", False),
        ("s3://a/x", "s3://a", False),
    ],
)
def test_inside_is_decided_by_decoded_segments(source, root, inside):
    assert sources.is_within(source, root) is inside


def test_the_owner_of_the_server_can_narrow_sources(monkeypatch):
    monkeypatch.setenv("SLIPSTREAM_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX", "^s3://ours/")
    sources.check_configured_pattern("s3://ours/model")
    with pytest.raises(InvalidParameterError, match="s3://ours/"):
        sources.check_configured_pattern("s3://theirs/model")


def test_a_source_that_is_encoded_many_times_over_is_refused_at_once() -> None:
    with pytest.raises(InvalidParameterError, match="many times over"):
        sources.check_remote_path("s3://b/%" + "25" * 1_000)
    with pytest.raises(InvalidParameterError, match="the limit is 4096"):
        sources.check_text("s3://b/" + "x" * 5_000)
