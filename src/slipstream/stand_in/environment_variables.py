"""MLflow's environment variables as objects with `get`, `is_set` and `set`: those that slipstream reads, too."""

import os
from typing import Any

from slipstream import settings


class Variable:
    """A setting under MLflow's name."""

    def __init__(self, setting: "settings.Setting[Any]", name: str) -> None:
        self._setting = setting
        self.name = name
        self.default = setting.default

    def get(self) -> Any:
        return self._setting.get()

    def is_set(self) -> bool:
        return self._setting.is_set()

    def set(self, value: object) -> None:
        os.environ[self.name] = str(value)

    def unset(self) -> None:
        os.environ.pop(self.name, None)


def __getattr__(name: str) -> Variable:
    for setting in settings.ALL.values():
        if name.startswith("MLFLOW_") and setting.mlflow_name == name:
            return Variable(setting, name)
    raise AttributeError(
        f"slipstream has no setting of the name '{name}'; docs/reference/settings.md lists all."
    )
