"""Who starts the run."""

import getpass

from slipstream import settings

USER_TAG = "mlflow.user"
UNKNOWN = "unknown"


def user_tags() -> dict[str, str]:
    """Return the user name that authenticates to the server, else that of the login."""
    return {USER_TAG: settings.TRACKING_USERNAME.get() or _login()}


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may run under a number that has no name
        return UNKNOWN
