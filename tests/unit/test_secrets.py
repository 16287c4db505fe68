"""What looks like a secret, and what does not."""

import time

import pytest

from slipstream.client.context.secrets import MASK, looks_like_secret_file, mask_arguments, mask_text

RANDOM = "Zk8sQ2pLw0vN3bT7yR1mXcD5eF"


@pytest.mark.parametrize(
    "text",
    [
        'API_KEY = "abcd1234"',
        "export DB_PASSWORD=hunter",
        '"password": "hunter2",',
        "token: str = 'abc'",
        "aws_secret_access_key=abcdefg1",
        f'x = "{RANDOM}"',
        "key AKIAABCDEFGHIJKLMNOP here",
        "ghp_0123456789abcdefghijABCDEFGHIJ",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
        "Authorization: Bearer eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl",
        "HF = hf_abcdefghijklmnopqrstuvwx",
        'salt = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
    ],
)
def test_secrets_are_masked(text: str) -> None:
    masked = mask_text(text)

    assert MASK in masked
    assert not any(part in masked for part in ("abcd1234", "hunter", "abcdefg1", "MIIE", RANDOM, "9f86d0"))


@pytest.mark.parametrize(
    "text",
    [
        "lr = 0.001",
        "token = read_token()",
        'tokenizer = "bert-base-uncased"',
        "max_tokens=100",
        'commit = "0123456789abcdef0123456789abcdef01234567"',
        "password = None",
        "from getpass import getpass",
        'path = "/data/ImageNet2012/train/n01440764/Images.tar"',
        "self.author = author",
        "monkey = 'banana'",
        "key = 'loss'",
    ],
)
def test_code_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text


def test_urls_lose_their_passwords() -> None:
    assert mask_text("git clone https://me:t0ken@example.org/x") == "git clone https://example.org/x"


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        "conf/.env.local",
        "prod.env",
        "id_rsa",
        "a/b.pem",
        "secrets.yaml",
        "my_token.txt",
        ".aws/config",
        "x/.ssh/known_hosts",
        "credentials.json",
        "service-account-1.json",
        ".netrc",
        "kubeconfig.yml",
        "Server.KEY",
    ],
)
def test_files_of_secrets_are_known_by_name(name: str) -> None:
    assert looks_like_secret_file(name)


@pytest.mark.parametrize(
    "name",
    ["tokenizer.json", "train.py", "environment.yml", "secrets.py", "keys.py", "passage.txt", "src/auth.py"],
)
def test_other_files_are_not(name: str) -> None:
    assert not looks_like_secret_file(name)


def test_arguments_are_masked_by_name_and_by_look() -> None:
    given = [
        "train.py",
        "--lr",
        "0.1",
        "--api-key",
        "xyz",
        "--token=abc",
        "db_password=foo",
        "--max_tokens",
        "5",
        RANDOM,
    ]

    assert mask_arguments(given) == [
        *(
            "train.py",
            "--lr",
            "0.1",
            "--api-key",
            MASK,
            f"--token={MASK}",
            f"db_password={MASK}",
            "--max_tokens",
            "5",
            MASK,
        )
    ]


def test_a_flag_behind_a_secret_flag_is_no_secret() -> None:
    assert mask_arguments(["--use-auth", "--lr", "1"]) == ["--use-auth", "--lr", "1"]


@pytest.mark.parametrize(
    "text",
    [
        'os.environ["API_KEY"] = "{}"',
        'os.environ.setdefault("TOKEN", "{}")',
        """pw = '''{}'''""",
        'f(password := "{}")',
        'api_key = "{}',
        'headers = {{"Authorization": "Bearer {}"}}',
        'curl -H "Authorization: Bearer {}"',
        "curl -H 'authorization: token {}'",
        'conn = "Server=h;User=sa;Password={};"',
        "AccountName=x;AccountKey={}",
        "machine h login u password {}",
        "<password>{}</password>",
        "postgres://h/db?user=u&password={}",
        "https://h/x?sig={}&x=1",
    ],
)
def test_a_value_that_looks_like_a_word_is_masked_where_it_can_be_nothing_else(text: str) -> None:
    masked = mask_text(text.format("hunter"))

    assert "hunter" not in masked
    assert masked == text.format("<masked>")


def test_no_more_is_masked_than_the_value() -> None:
    assert mask_text('password = "a\\"b", lr = 1') == 'password = "<masked>", lr = 1'
    assert mask_text("url = f'/x?page=2&sort=name'") == "url = f'/x?page=2&sort=name'"
    assert mask_text('columns = ["token", "label"]') == 'columns = ["token", "label"]'
    assert mask_text("authorization: the token is asked for") == "authorization: <masked> token is asked for"


@pytest.mark.parametrize(
    ("arguments", "masked"),
    [
        (["-H", "X-Api-Key: 12345"], ["-H", "X-Api-Key: <masked>"]),
        (["--header=Authorization: Bearer ab1"], ["--header=Authorization: Bearer <masked>"]),
        (["--wandb-key", "short", "--lr", "1"], ["--wandb-key", "<masked>", "--lr", "1"]),
        (["--hf.key=short"], ["--hf.key=<masked>"]),
        (["key=value"], ["key=value"]),
        (["--jwt", "abc", "--pat=def"], ["--jwt", "<masked>", "--pat=<masked>"]),
    ],
)
def test_arguments_that_hold_secrets(arguments: list[str], masked: list[str]) -> None:
    assert mask_arguments(arguments) == masked


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        '"',
        "'",
        "; ",
        "\\",
        "=",
        '="',
        "a=",
        "<a>",
        "?a=",
        "password",
        "password ",
        'x["a"] = "',
        ": ",
        "login x ",
        "bearer ",
        "http://a",
        "://",
        "authorization: ",
        "eyJa",
        "-----BEGIN ",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    """What goes with the square of a line's length takes a minute of CPU here; else it is a tenth of a second."""
    text = piece * (200_000 // len(piece))
    began = time.process_time()

    mask_text(text)

    assert time.process_time() - began < 15
