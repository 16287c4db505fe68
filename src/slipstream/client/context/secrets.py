"""What looks like a secret, and must not leave the machine with a run's context.

Guesses, on the careful side: what is masked by mistake costs a line of a patch, what is not costs a password.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from slipstream.client.context.git import without_credentials

MASK = "<masked>"

_NAME = re.compile(
    r"pass(word|wd|phrase)?$|(^|[_.-])pass|passw|pwd|secret|(^|[_.-])token($|[_.-])|[a-z]Token($|[_.-])|api[_-]?key|access[_-]?key|"
    r"private[_-]?key|signing[_-]?key|encryption[_-]?key|account[_-]?key|credential|(^|[_.-])auth($|[_.-])|authorization|bearer|"
    r"cookie|(^|[_.-])(dsn|pat|jwt|psk|pw|sas)($|[_.-])|conn(ection)?[_-]?str|signature$|^sig$",
    re.IGNORECASE,
)
_FILE = re.compile(
    r"""
    ^\.env($|[._-]) | \.env$ | ^env\.(local|prod|production|dev)$
    | \.(pem|key|p12|pfx|jks|keystore|kdbx|ovpn|ppk|asc|gpg|age|p8|der|crt)$
    | ^id_(rsa|dsa|ecdsa|ed25519) | ^\.?(netrc|npmrc|pypirc|htpasswd|pgpass|my\.cnf|git-credentials|dockercfg|boto|s3cfg)$ | ^_netrc$
    | ^kubeconfig | ^service[_-]?account.*\.json$ | ^client_secret
    """,
    re.IGNORECASE | re.VERBOSE,
)
_FILE_ABOUT = re.compile(
    r"(^|[._-])(secrets?|credentials?|passwords?|passwd|tokens?|apikeys?|api[_-]keys?)($|[._-])",
    re.IGNORECASE,
)
_CODE_SUFFIXES = frozenset(
    {".py", ".pyi", ".pyx", ".ipynb", ".c", ".cc", ".cpp", ".cu", ".h", ".go", ".rs", ".js", ".ts", ".md"}
)
"""Files that may speak of secrets; what is in them is looked at."""
_FOLDERS = frozenset(
    {".aws", ".ssh", ".gnupg", ".azure", ".kube", ".docker", ".config", "gcloud", ".secrets", "secrets"}
)
_VALUE = re.compile(
    r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|"
    r"\bsk-[A-Za-z0-9_-]{20,}|\b[rs]k_(?:live|test)_\w{16,}|\bxox[abeoprs]-[\w-]{10,}|\bAIza[\w-]{30,}|\bya29\.[\w-]{20,}|"
    r"\bhf_[A-Za-z0-9]{20,}|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[\w-]{30,}|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bdop_v1_\w{30,}|"
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\b[MN][A-Za-z\d]{23}\.[\w-]{6}\.[\w-]{27}|\bAGE-SECRET-KEY-\w+"
)
# name = "value", name: value, "name": "value", NAME=value, x["name"] = "value"; a value may end with its line
_ASSIGNMENT = re.compile(
    r"""(?P<head>(?P<quote>["']?)(?P<name>[A-Za-z_][\w.-]{0,80})(?P=quote)\]?\s*(?::=|:(?:\s*\w+\s*=)?|=>|=)\s*(?:[rbuf]{1,2}(?=["']))?)
    (?:(?P<mark>\"{3}|'{3}|["'])(?P<quoted>(?:\\.|(?!(?P=mark))[^\\\n])*)(?P<end>(?P=mark)|(?=\\?(?:\n|\Z)))|(?P<bare>[^\s"'#,;(){}\[\]]+))""",
    re.VERBOSE,
)
# What is said outright to be a value: no name of a variable can stand there.
_LITERALS = (
    # Authorization: Bearer value
    re.compile(
        r"(?P<head>(?P<name>authorization)[\"']?\s*+[:=]\s*+[\"']?\s*+(?:(?:bearer|basic|token|digest|negotiate|apikey|key)\s+)?)"
        r"(?P<value>(?!(?:bearer|basic|token|digest|negotiate|apikey|key)\b)[\w.~+/=-]{3,})",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<head>\b(?P<name>bearer)\s+)(?P<value>(?=[\w.~+/=-]*\d)[\w.~+/=-]{6,})", re.IGNORECASE),
    # https://host/x?name=value&name=value
    re.compile(r"(?P<head>[?&](?P<name>[A-Za-z_][\w.-]{0,80})=)(?P<value>[^&\s\"'<>#{}]+)"),
    # Server=x;Password=value;
    re.compile(
        r"(?P<head>;\s*(?P<name>[A-Za-z][\w ]{0,40}?)\s*=\s*)(?P<value>[^;\s\"'(){}]+)(?=[;\"'\s]|\Z)"
    ),
    # setdefault("name", "value")
    re.compile(
        r"(?P<head>(?:setdefault|getenv|environ\.get|putenv|setenv)\(\s*(?P<quote>[\"'])(?P<name>\w+)(?P=quote)\s*,\s*[\"'])"
        r"(?P<value>[^\"'\n]+)"
    ),
    # <name>value</name>
    re.compile(r"(?P<head><(?P<name>[A-Za-z][\w.-]{0,80})>)(?P<value>[^<>\n]+)(?=</)"),
    # machine host login user password value
    re.compile(r"(?P<head>\blogin\s+\S+\s+(?P<name>password)\s+)(?P<value>\S+)"),
)
_HEADER = re.compile(r"(?P<name>[A-Za-z][\w-]{0,80}):\s")
_ODD = re.compile(r"[A-Za-z0-9+/=_\-.~]{20,}\Z")
_HEX = re.compile(r"[0-9a-fA-F-]{32,}\Z")
_HARMLESS_NAME = re.compile(
    r"sha\d*|hash|digest|commit|revision|checksum|integrity|md5|uuid|guid|etag|(^|_)rev$", re.IGNORECASE
)
_PLACE = re.compile(r"[/\\]|\.(py|json|ya?ml|csv|txt|pt|ckpt|safetensors|parquet)$")
_CODE = re.compile(
    r"^(None|True|False|null|true|false|self|os|os\.\w.*|str|int|float|[-+]?\d+(\.\d+)?(e[-+]?\d+)?|\$\{?\w+\}?)$"
)
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]*(?:PRIVATE KEY|PGP MESSAGE)[A-Z ]*-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL
)
_KEY_FLAG = re.compile(r"(^|[_.-])key$", re.IGNORECASE)
_FLAG = re.compile(r"--?(?P<name>[A-Za-z][\w.-]*)\Z")


def looks_like_secret_file(path: str) -> bool:
    """Tell whether a file's name or folder says that secrets are in it."""
    parts = PurePosixPath(path).parts
    name = parts[-1]
    if _FILE_ABOUT.search(name) and PurePosixPath(name).suffix.lower() not in _CODE_SUFFIXES:
        return True
    return bool(_FILE.search(name)) or any(part.lower() in _FOLDERS for part in parts[:-1])


def mask_text(text: str) -> str:
    """Return a text with everything that looks like a secret replaced."""
    text = _KEY_BLOCK.sub(MASK, text)
    text = _VALUE.sub(MASK, without_credentials(text))
    for literal in _LITERALS:
        text = literal.sub(_mask_literal, text)
    return _ASSIGNMENT.sub(_mask_assignment, text)


def _mask_literal(match: re.Match[str]) -> str:
    if MASK in match["value"] or not _NAME.search(match["name"]):
        return match[0]
    return f"{match['head']}{MASK}"


def _mask_assignment(match: re.Match[str]) -> str:
    bare = match["bare"]
    value = match["quoted"] if bare is None else bare
    if MASK in value or not _is_secret(match["name"], value, is_code=bare is not None):
        return match[0]
    return f"{match['head']}{match['mark'] or ''}{MASK}{match['end'] or ''}"


def _is_secret(name: str, value: str, *, is_code: bool) -> bool:
    if _NAME.search(name):
        if not is_code:
            return bool(value)
        # `token = read_token` names another variable; `TOKEN=abc123` of a shell does not.
        is_variable = value.replace(".", "").replace("_", "").isalpha() and not name.isupper()
        return not _CODE.match(value) and not is_variable
    return not _HARMLESS_NAME.search(name) and is_random(value)


def is_random(value: str) -> bool:
    """Tell whether a text looks like a key: long, of few kinds of characters, and without pattern."""
    if _HEX.match(value):
        return _entropy(value) > 3.0
    if not _ODD.match(value) or _PLACE.search(value):
        return False
    kinds = sum(1 for test in (str.islower, str.isupper, str.isdigit) if any(test(each) for each in value))
    return kinds == 3 and _entropy(value) > 4.0


def _entropy(value: str) -> float:
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())


def mask_arguments(arguments: Sequence[str]) -> list[str]:
    """Return a command line's arguments with the secrets among them replaced."""
    masked: list[str] = []
    hide_next = False
    for each in arguments:
        flag = _FLAG.match(each)
        if hide_next and flag is None:
            masked.append(MASK)
            hide_next = False
            continue
        hide_next = flag is not None and bool(_NAME.search(flag["name"]) or _KEY_FLAG.search(flag["name"]))
        name, equals, value = each.partition("=")
        bare = name.lstrip("-+")
        says_secret = _NAME.search(bare) or (name.startswith("-") and _KEY_FLAG.search(bare))
        header = _HEADER.match(each)
        if equals and value and (says_secret or (is_random(value) and not _HARMLESS_NAME.search(bare))):
            masked.append(f"{name}={MASK}")
        elif header is not None and _NAME.search(header["name"]):
            masked.append(f"{header['name']}: {MASK}")
        elif is_random(each):
            masked.append(MASK)
        else:
            masked.append(mask_text(each))
    return masked
