"""How the next token is chosen, and when an answer ends."""

import msgspec


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks of generation; `None` where it left that to the model."""

    max_tokens: int | None = None
    """Tokens of one answer, at most; `None` goes on until the model ends it or its context is full."""
    temperature: float | None = None
    """0 always takes the likeliest token."""
    top_p: float | None = None
    top_k: int | None = None
    """0 considers all tokens."""
    seed: int | None = None
    """The same seed gives the same answer again; several answers of one request take seed, seed + 1, ..."""
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    stop: tuple[str, ...] | None = None

    def over(self, defaults: "Sampling") -> "Sampling":
        """Return these settings, filled up from `defaults`."""
        values = {
            name: getattr(defaults, name) if getattr(self, name) is None else getattr(self, name)
            for name in self.__struct_fields__
        }
        return Sampling(**values)
