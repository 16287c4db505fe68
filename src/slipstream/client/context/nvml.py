"""NVIDIA's library for its cards, where it is installed and there are cards."""

import contextlib
import logging
from collections.abc import Generator
from typing import Any

_logger = logging.getLogger(__name__)


def open_nvml() -> Any:
    """Return the module, ready to be asked, or `None`; who gets it closes it with `nvmlShutdown()`."""
    try:
        import pynvml

        module: Any = pynvml
        module.nvmlInit()
    except Exception as error:  # noqa: BLE001  # not installed, no driver, no card
        _logger.debug("No GPU is asked: %s", error)
        return None
    return module


@contextlib.contextmanager
def nvml() -> Generator[Any]:
    """Give the module for a block, or `None`."""
    module = open_nvml()
    try:
        yield module
    finally:
        if module is not None:
            module.nvmlShutdown()
