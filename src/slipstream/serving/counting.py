"""What the edge counts of requests: plain numbers in lists and dicts, since one event loop does all of it."""

from slipstream.tally import LATENCY_BOUNDS, Tally

BATCH_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
RATE_BOUNDS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0)


class Series:
    """All that is counted of one operation of one model version."""

    __slots__ = (
        "answers",
        "batch",
        "completion_tokens",
        "first_token",
        "last_at",
        "latency",
        "prediction",
        "prompt_tokens",
        "queue",
        "rate",
    )

    def __init__(self) -> None:
        self.answers: dict[tuple[int, str], int] = {}
        """By status and name of the API key."""
        self.latency = Tally(LATENCY_BOUNDS)
        self.queue = Tally(LATENCY_BOUNDS)
        self.prediction = Tally(LATENCY_BOUNDS)
        self.batch = Tally(BATCH_BOUNDS)
        self.first_token = Tally(LATENCY_BOUNDS)
        self.rate = Tally(RATE_BOUNDS)
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.last_at = 0.0
