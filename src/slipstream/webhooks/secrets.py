"""Secrets of webhooks as they are stored: encrypted when the server has a key, and then only then readable.

The key is MLflow's (`MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY`, 32 bytes as Fernet writes them), so that a server that
replaces one of MLflow's needs no other. All servers of a database need the same.
"""

from typing import Any

from slipstream import settings
from slipstream.errors import InternalError, InvalidParameterError, MissingDependencyError

_ENCRYPTED = "fernet:"
_PLAIN = "plain:"


def seal(secret: str | None) -> str | None:
    """Return a secret as it is stored."""
    if not secret:
        return None
    key = settings.WEBHOOK_SECRET_ENCRYPTION_KEY.get()
    if not key:
        return _PLAIN + secret
    return _ENCRYPTED + _fernet(key).encrypt(secret.encode()).decode()


def unseal(sealed: str | None) -> str | None:
    """Return a stored secret as it was given.

    Raises:
        InternalError: it was encrypted with another key than this server's, or this server has none.
    """
    if sealed is None:
        return None
    if sealed.startswith(_PLAIN):
        return sealed.removeprefix(_PLAIN)
    key = settings.WEBHOOK_SECRET_ENCRYPTION_KEY.get()
    name = settings.WEBHOOK_SECRET_ENCRYPTION_KEY.name
    if not key:
        raise InternalError(
            f"The webhook's secret is encrypted, and this server has no key. Set {name} to the key it was stored with."
        )
    fernet = _fernet(key)
    from cryptography.fernet import InvalidToken

    try:
        return fernet.decrypt(sealed.removeprefix(_ENCRYPTED).encode()).decode()
    except InvalidToken as error:
        raise InternalError(
            f"The webhook's secret was encrypted with another key. Set {name} to that key, or give the webhook its "
            "secret anew."
        ) from error


def check_key() -> None:
    """Refuse a key that nothing can be encrypted with; for the start of a server.

    Raises:
        InvalidParameterError: it is no key.
        MissingDependencyError: there is a key, and no library to use it.
    """
    if key := settings.WEBHOOK_SECRET_ENCRYPTION_KEY.get():
        _fernet(key)


def _fernet(key: str) -> Any:
    name = settings.WEBHOOK_SECRET_ENCRYPTION_KEY.name
    try:
        from cryptography.fernet import Fernet
    except ImportError as error:
        raise MissingDependencyError(
            f"{name} is set, and encrypting needs the cryptography library: pip install 'slipstream[webhooks]'"
        ) from error
    try:
        return Fernet(key.encode())
    except ValueError as error:
        raise InvalidParameterError(
            f"{name} is no key: it must be 32 bytes in URL-safe base64. Make one with: python -c "
            "'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        ) from error
