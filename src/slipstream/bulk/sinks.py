"""A file that is written to and taken from in turns."""


class ChunkSink:
    """What a writer writes, until somebody takes it: its memory is what was written since."""

    closed = False

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._written = 0

    def write(self, data: object) -> int:
        chunk = bytes(data)  # pyright: ignore[reportArgumentType]  # a buffer of the writer's, good only now
        self._chunks.append(chunk)
        self._written += len(chunk)
        return len(chunk)

    def take(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Do nothing: there is nothing below."""

    def close(self) -> None:
        """Do nothing: what was written can still be taken."""

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False
