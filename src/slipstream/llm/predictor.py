"""A language model as pyfunc calls it, whatever library it is of."""

from collections.abc import Iterator
from typing import Any

from slipstream.llm import model as text_model
from slipstream.llm.signatures import CHAT


class TextPredictor:
    """Chat or completion in OpenAI's shape."""

    checks_input = True

    def __init__(self, model: text_model.TextModel, task: str) -> None:
        self.model = model
        self.task = task

    def __call__(self, data: Any, params: dict[str, Any]) -> list[dict[str, Any]]:
        predict = text_model.predict_chat if self.task == CHAT else text_model.predict_completion
        return predict(self.model, data)

    def stream(self, data: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the chunks of one answer."""
        return text_model.predict_stream(self.model, self.task, data)
