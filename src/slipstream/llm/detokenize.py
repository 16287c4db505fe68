"""Text out of tokens as they come. One token may be a part of a character, or change how the one before reads."""

from collections.abc import Callable, Sequence

_UNFINISHED = "\ufffd"


class Detokenizer:
    """Turns tokens into pieces of text whose sum is the text of all of them."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._context = 0
        """Where decoding begins: some tokens back, since tokenizers treat the first token of a text in their own way."""
        self._shown = 0
        """How many tokens have been shown."""

    def feed(self, token: int) -> str:
        """Take a token; return the text that it completes, which may be empty."""
        self._tokens.append(token)
        before = self._decode(self._tokens[self._context : self._shown])
        now = self._decode(self._tokens[self._context :])
        if len(now) <= len(before) or now.endswith(_UNFINISHED):
            return ""
        self._context, self._shown = self._shown, len(self._tokens)
        return now[len(before) :]

    def flush(self) -> str:
        """Return the rest, such as half a character at the end."""
        before = self._decode(self._tokens[self._context : self._shown])
        now = self._decode(self._tokens[self._context :])
        self._context = self._shown = len(self._tokens)
        return now[len(before) :]
