"""Which logged model is active in this thread."""

import threading


class ActiveModelState(threading.local):
    active: str | None = None
    last: str | None = None
    """The one that was made last."""


state = ActiveModelState()
