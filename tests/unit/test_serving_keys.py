"""API keys of the scoring server: the file, the check, the limits, and the command that makes keys."""

import hashlib
import http.client
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from scoring_server import Client, Reply
from slipstream.cli.main import main
from slipstream.errors import InvalidParameterError
from slipstream.serving.gate import Gate, choose_keys, choose_token
from slipstream.serving.keys import ApiKey, KeyFile, create_key
from watched_server import CHAT, ROW, encoded, until, watched

SUM = "/models/sum/invocations"


def line(name: str, key: str, *limits: str) -> str:
    return " ".join([name, f"sha256:{hashlib.sha256(key.encode()).hexdigest()}", *limits]) + "\n"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def ask(client: Client, key: str, path: str = SUM, document: object = ROW) -> Reply:
    return client.post(path, document, **bearer(key))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text("# who may ask\n\n" + line("anna", "k-anna") + line("ben", "k-ben"))
    return path


class Clock:
    now = 1e9  # later than any machine has run

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def opened(path: Path, said: list[str]) -> tuple[KeyFile, Clock]:
    keys = KeyFile(path, said.append)
    clock = keys._clock = Clock()
    return keys, clock


def name_of(keys: KeyFile, given: str) -> str | None:
    found = keys.find(given.encode())
    return None if found is None else found.name


# -- the file -----------------------------------------------------------------------------------------
def test_keys_are_found_by_their_digest(opened: tuple[KeyFile, Clock], path: Path) -> None:
    keys, _ = opened
    assert name_of(keys, "k-anna") == "anna"
    assert name_of(keys, "k-ben") == "ben"
    assert name_of(keys, "") is None
    digest = hashlib.sha256(b"k-anna").hexdigest()
    assert name_of(keys, digest) is None  # who has read the file cannot ask
    assert name_of(keys, f"sha256:{digest}") is None


def test_a_changed_file_is_read_anew_after_a_second(opened: tuple[KeyFile, Clock], path: Path) -> None:
    keys, clock = opened
    clock.now += 2
    assert name_of(keys, "k-anna") == "anna"
    path.write_text(line("carl", "k-carl"))
    clock.now += 0.5
    assert name_of(keys, "k-carl") is None
    clock.now += 0.6
    assert name_of(keys, "k-carl") == "carl"
    assert name_of(keys, "k-anna") is None


@pytest.mark.parametrize("broken", ["anna\n", b"\xff\xfe", None])
def test_a_broken_file_keeps_the_keys_and_says_so_once(
    opened: tuple[KeyFile, Clock], path: Path, said: list[str], broken: str | bytes | None
) -> None:
    keys, clock = opened
    if broken is None:
        path.unlink()
    else:
        path.write_bytes(broken if isinstance(broken, bytes) else broken.encode())
    for _ in range(3):
        clock.now += 2
        assert name_of(keys, "k-anna") == "anna"
    (only,) = said
    assert str(path) in only
    assert only.endswith("The keys of before stay.")
    path.write_text(line("carl", "k-carl"))
    clock.now += 2
    assert name_of(keys, "k-carl") == "carl"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("anna", "line 1: expected 'NAME sha256:HEX'"),
        ("anna k-secret", "line 1: expected"),
        ("# x\nanna sha256:12", "line 2: expected"),
        (line("an/na", "k"), "line 1: expected"),
        (line("anna", "k", "rpm=0"), "rpm=NUMBER"),
        (line("anna", "k", "rpm=1", "rpm=2"), "each once"),
        (line("anna", "k", "rps=1"), "rpm=NUMBER"),
        (line("anna", "k") + line("anna", "l"), "line 2: the name 'anna' or its key is there twice"),
        (line("anna", "k") + line("ben", "k"), "line 2"),
    ],
)
def test_a_wrong_line_is_named_but_not_shown(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(InvalidParameterError) as raised:
        KeyFile(path, pytest.fail)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


# -- limits -------------------------------------------------------------------------------------------
def test_requests_a_minute() -> None:
    key = ApiKey("anna", b"", rpm=2, tpm=None, now=0.0)
    assert key.admit(0.0) is None
    assert key.admit(0.0) is None
    reached = key.admit(0.0)
    assert reached is not None
    assert str(reached) == "Key 'anna' may ask for 2 requests a minute (rpm). Try again in 30 s."
    assert reached.retry_seconds == 30
    assert key.admit(29.9) is not None
    assert key.admit(30.1) is None
    assert key.admit(10_000.0) is None  # an hour of rest is worth a minute
    assert key.admit(10_000.0) is None
    assert key.admit(10_000.0) is not None


def test_tokens_a_minute_are_known_only_afterwards() -> None:
    key = ApiKey("anna", b"", rpm=None, tpm=60, now=0.0)
    assert key.admit(0.0) is None
    key.spend_tokens(100)
    reached = key.admit(0.0)
    assert reached is not None
    assert "60 tokens a minute (tpm)" in str(reached)
    assert reached.retry_seconds == 41
    assert key.admit(41.5) is None


def test_reading_the_file_anew_gives_no_new_budget(opened: tuple[KeyFile, Clock], path: Path) -> None:
    keys, clock = opened
    path.write_text(line("anna", "k-anna", "rpm=1"))
    clock.now += 2
    anna = keys.find(b"k-anna")
    assert anna is not None
    assert anna.admit(clock.now) is None
    path.write_text(line("anna", "k-anna", "rpm=1") + line("dora", "k-dora"))
    clock.now += 2
    again = keys.find(b"k-anna")
    assert again is not None
    assert again is not anna
    assert again.admit(clock.now) is not None


# -- the server ---------------------------------------------------------------------------------------
def test_a_server_with_keys(path: Path) -> None:
    with watched(gate=Gate(keys=KeyFile(path, pytest.fail))) as client:
        assert ask(client, "k-anna").status == 200
        assert ask(client, "k-ben", "/v1/chat/completions", CHAT).status == 200
        refused = ask(client, "k-nobody")
        assert refused.status == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["error_code"] == "UNAUTHENTICATED"
        for reply in (
            ask(client, "k-nobody", "/v1/chat/completions", CHAT),
            client.post("/v1/chat/completions", CHAT),
            client.ask("GET", "/v1/models"),
        ):
            assert reply.status == 401
            assert reply.json()["error"]["type"] == "authentication_error"
        assert client.post(SUM, ROW, Authorization="Basic k-anna").status == 401
        assert client.ask("GET", "/ping").status == 200
        text = client.ask("GET", "/metrics", headers=bearer("k-ben")).body.decode()
    counted = {
        (sample.labels["key"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "slipstream_serving_requests_total" and sample.labels["operation"] == "invocations"
    }
    assert counted == {("anna", "200"): 1, ("", "401"): 2}


def test_limits_are_answered_429(path: Path) -> None:
    path.write_text(line("anna", "k-anna", "rpm=2") + line("ben", "k-ben", "tpm=11"))
    with watched(gate=Gate(keys=KeyFile(path, pytest.fail))) as client:
        assert [ask(client, "k-anna").status for _ in range(3)] == [200, 200, 429]
        assert client.ask("GET", "/v1/models", headers=bearer("k-anna")).status == 200
        refused = ask(client, "k-anna", "/v1/chat/completions", CHAT)
        assert refused.status == 429
        assert "2 requests a minute (rpm)" in refused.json()["error"]["message"]
        assert 25 <= int(refused.headers["retry-after"]) <= 30
        # 5 tokens are asked and 6 answered.
        assert ask(client, "k-ben", "/v1/chat/completions", CHAT).status == 200
        refused = ask(client, "k-ben", "/v1/chat/completions", CHAT)
        assert refused.status == 429
        assert "11 tokens a minute (tpm)" in refused.json()["error"]["message"]


def test_who_leaves_a_stream_pays_for_what_was_made(path: Path) -> None:
    path.write_text(line("anna", "k-anna", "tpm=10"))
    with watched(gate=Gate(keys=KeyFile(path, pytest.fail))) as client:
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=10)
        long = {**CHAT, "messages": [{"role": "user", "content": "x" * 50_000}], "stream": True}
        connection.request("POST", "/v1/chat/completions", encoded(long), bearer("k-anna"))
        response = connection.getresponse()
        for _ in range(100):
            assert response.readline()
        response.close()
        connection.close()
        until(lambda: ask(client, "k-anna").status == 429)


# -- options ------------------------------------------------------------------------------------------
def test_the_options_go_together(path: Path, said: list[str]) -> None:
    assert choose_token("0.0.0.0", "keys", "unused") is None
    assert choose_keys("keys", path, said.append) is not None
    assert choose_keys(None, None, said.append) is None
    with pytest.raises(InvalidParameterError, match="--auth keys needs --api-keys FILE"):
        choose_keys("keys", None, said.append)
    for auth in (None, "token", "none"):
        with pytest.raises(InvalidParameterError, match="--api-keys is for --auth keys"):
            choose_keys(auth, path, said.append)
    with pytest.raises(InvalidParameterError, match="cannot be read"):
        choose_keys("keys", path.parent / "absent", said.append)


@pytest.fixture
def command() -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(main, ["models", "create-key", *arguments])
        return result.exit_code, result.stdout, result.stderr

    return run


def test_create_key(command: Callable[..., tuple[int, str, str]], path: Path) -> None:
    code, stdout, stderr = command("anna", "--rpm", "600", "--tpm", "100000")
    assert code == 0
    key = stderr.split()[-1]
    assert key.startswith("slipstream-")
    assert len(key) > 50
    assert key not in stdout
    assert stdout.endswith(" rpm=600 tpm=100000\n")
    path.write_text(stdout)
    assert name_of(KeyFile(path, pytest.fail), key) == "anna"
    assert create_key("anna")[0] != create_key("anna")[0]


def test_create_key_refuses_a_name(command: Callable[..., tuple[int, str, str]]) -> None:
    code, stdout, stderr = command("anna bell")
    assert (code, stdout) == (1, "")
    assert stderr.startswith("error: Invalid name 'anna bell' for a key")


def test_a_key_is_safe_in_headers_and_shells() -> None:
    key, _ = create_key("anna")
    assert key.isascii()
    assert key.replace("-", "").replace("_", "").isalnum()


def test_serve_wants_the_file_before_it_loads_anything() -> None:
    result = CliRunner().invoke(main, ["models", "serve", "-m", "absent", "--auth", "keys"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: --auth keys needs --api-keys FILE")


def test_the_example_for_the_user_has_what_the_gate_wants(path: Path) -> None:
    assert Gate().variable is None
    assert Gate(token="secret").variable == "SLIPSTREAM_SERVER_TOKEN"
    assert Gate(keys=KeyFile(path, pytest.fail)).variable == "API_KEY"


@pytest.mark.parametrize("option", ["--rpm", "--tpm"])
def test_create_key_makes_no_limit_that_the_file_would_refuse(
    command: Callable[..., tuple[int, str, str]], path: Path, option: str
) -> None:
    code, stdout, _ = command("anna", option, "999999999999")
    assert code == 0
    path.write_text(stdout)
    KeyFile(path, pytest.fail)
    code, stdout, stderr = command("anna", option, "1000000000000")
    assert (code, stdout) == (2, "")
    assert option in stderr
