"""Text generation with a decoder that ONNX Runtime GenAI exported: many sequences in one pass, on the CPU.

GenAI's own generators hold a batch together from its first token to its last. This runs the exported decoder with
ONNX Runtime itself, which GenAI brings: the rows of a batch lie in one key/value cache that the decoder writes in
place, each from the left, and the attention mask says how long each is. A row that joins takes the next free place; one
that leaves gives its place to the last.
"""

import importlib
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from slipstream.flavors.onnx_genai_text import OnnxGenaiTokenizer
from slipstream.llm.choosing import Chooser
from slipstream.llm.sampling import Sampling

_PROMPT_PART = 512
"""Tokens of a prompt in one pass: more would need much memory for logits that nobody looks at."""
_LEAST_WIDTH = 128
_SPIN = "session.intra_op.allow_spinning"
_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}


class BatchBackend:
    """Implements `slipstream.llm.model.ChatBackend`."""

    batch_size = 16

    def __init__(self, decoder: "Decoder", tokenizer: OnnxGenaiTokenizer, facts: Mapping[str, Any]) -> None:
        self.context_length = int(facts["context_length"])
        self.end_tokens = frozenset(cast("list[int]", facts["eos_token_ids"]))
        self.encode, self.encode_chat, self.decode = tokenizer.encode, tokenizer.encode_chat, tokenizer.decode
        self._decoder = decoder
        self._cache = decoder.new_cache()
        self._rows: list[Chooser] = []
        """By their place in the cache."""
        self._fresh: list[Chooser] = []

    def admit(self, prompt: Sequence[int], sampling: Sampling) -> Hashable:
        row = Chooser(prompt, sampling)
        place = len(self._rows)
        self._cache.reserve(place + 1, len(row.tokens) + 1, [len(each.tokens) for each in self._rows])
        row.choose(self._decoder.read(self._cache, place, row.tokens))
        self._rows.append(row)
        self._fresh.append(row)
        return row

    def step(self) -> list[tuple[Hashable, int]]:
        if self._fresh:
            newcomers, self._fresh = self._fresh, []
            return [(row, row.tokens[-1]) for row in newcomers]
        if not self._rows:
            return []
        lengths = [len(row.tokens) for row in self._rows]
        self._cache.reserve(len(lengths), max(lengths), lengths)
        logits = self._decoder.advance(self._cache, [row.tokens[-1] for row in self._rows], lengths)
        likeliest = logits.argmax(axis=-1).tolist()
        for row, values, token in zip(self._rows, logits, likeliest, strict=True):
            if row.takes_the_likeliest:
                row.tokens.append(token)
            else:
                row.choose(values)
        return [(row, row.tokens[-1]) for row in self._rows]

    def release(self, sequence: Hashable) -> None:
        row = cast("Chooser", sequence)
        place, last = self._rows.index(row), len(self._rows) - 1
        if place != last:
            self._cache.move(last, place, len(self._rows[last].tokens))
            self._rows[place] = self._rows[last]
        self._rows.pop()
        if row in self._fresh:
            self._fresh.remove(row)
        if not self._rows:
            self._cache = self._decoder.new_cache()  # what a long answer needed is given back


class Cache:
    """Keys and values of all layers, as (row, head, token, number); memory that nobody wrote to costs nothing."""

    def __init__(self, layers: int, heads: int, size: int, dtype: str, limit: int) -> None:
        self.arrays: list[Any] = []
        self.rows = 0
        self.width = 0
        self.version = 0
        """Grows whenever the arrays lie elsewhere."""
        self._layers, self._heads, self._size, self._dtype = layers, heads, size, dtype
        self._limit = limit

    def reserve(self, rows: int, width: int, lengths: Sequence[int]) -> None:
        """Make place for so many rows of so many tokens; the rows that are there, of these lengths, stay."""
        if rows <= self.rows and width <= self.width:
            return
        numpy = _numpy()
        new_rows = max(rows, min(self.rows * 2, BatchBackend.batch_size)) if rows > self.rows else self.rows
        new_width = self.width
        if width > self.width:
            new_width = max(width, min(max(self.width * 2, _LEAST_WIDTH), self._limit))
        shape = (new_rows, self._heads, new_width, self._size)
        old, self.arrays = self.arrays, []
        for number in range(2 * self._layers):
            self.arrays.append(numpy.zeros(shape, dtype=self._dtype))
            for place, length in enumerate(lengths if old else ()):
                used = min(length, self.width)
                self.arrays[-1][place, :, :used] = old[number][place, :, :used]
        self.rows, self.width = new_rows, new_width
        self.version += 1

    def move(self, source: int, target: int, length: int) -> None:
        for array in self.arrays:
            array[target, :, :length] = array[source, :, :length]


class Decoder:
    """One exported graph."""

    def __init__(self, session: Any, names: "Names", facts: Mapping[str, Any]) -> None:
        self._session = session
        self._names = names
        self._facts = facts
        self._binding: Any = None
        self._bound: tuple[Any, ...] = ()
        self._logits: Any = None

    def new_cache(self) -> Cache:
        facts = self._facts
        self._binding, self._bound = None, ()  # they hold the memory of the one before
        return Cache(
            int(facts["layers"]),
            int(facts["heads"]),
            int(facts["head_size"]),
            self._names.dtype,
            int(facts["context_length"]) + 1,
        )

    def read(self, cache: Cache, place: int, tokens: Sequence[int]) -> Any:
        """Write a prompt into a row of the cache; return the logits of what comes next."""
        numpy = _numpy()
        logits: Any = None
        for begin in range(0, len(tokens), _PROMPT_PART):
            part = numpy.array([tokens[begin : begin + _PROMPT_PART]], dtype=numpy.int64)
            end = begin + part.shape[1]
            binding = self._session.io_binding()
            self._bind_cache(binding, cache, place, 1)
            logits = numpy.empty((1, part.shape[1], int(self._facts["vocab_size"])), self._names.logits_dtype)
            self._run(
                binding, part, numpy.ones((1, end), numpy.int64), numpy.arange(begin, end)[None], logits
            )
        return logits[0, -1]

    def advance(self, cache: Cache, tokens: Sequence[int], lengths: Sequence[int]) -> Any:
        """Feed each row its last token; return each row's logits. `lengths` count that token, too."""
        numpy = _numpy()
        rows = len(tokens)
        state = (cache, cache.version, rows)
        if self._bound != state:  # otherwise the cache lies where it lay at the last step
            self._binding = self._session.io_binding()
            self._bind_cache(self._binding, cache, 0, rows)
            self._bound = state
            self._logits = numpy.empty((rows, 1, int(self._facts["vocab_size"])), self._names.logits_dtype)
        ends = numpy.array(lengths, dtype=numpy.int64)[:, None]
        mask = (numpy.arange(ends.max()) < ends).astype(numpy.int64)
        fed = numpy.array(tokens, dtype=numpy.int64)[:, None]
        self._run(self._binding, fed, mask, ends - 1, self._logits)
        return self._logits[:, 0]

    def _bind_cache(self, binding: Any, cache: Cache, place: int, rows: int) -> None:
        for number, (past, present) in enumerate(self._names.cache):
            array = cache.arrays[number]
            shape = [rows, *array.shape[1:]]
            address = array.ctypes.data + place * array.strides[0]
            binding.bind_input(past, "cpu", 0, array.dtype, shape, address)
            binding.bind_output(present, "cpu", 0, array.dtype, shape, address)

    def _run(self, binding: Any, tokens: Any, mask: Any, positions: Any, logits: Any) -> None:
        names = self._names
        binding.bind_cpu_input(names.tokens, tokens)
        binding.bind_cpu_input(names.mask, mask)
        if names.positions is not None:
            binding.bind_cpu_input(names.positions, _numpy().ascontiguousarray(positions))
        binding.bind_output(names.logits, "cpu", 0, logits.dtype, list(logits.shape), logits.ctypes.data)
        self._session.run_with_iobinding(binding)


class Names:
    """What a graph calls its inputs and outputs."""

    def __init__(self, decoder: Mapping[str, Any], layers: int) -> None:
        inputs: Mapping[str, str] = decoder.get("inputs") or {}
        outputs: Mapping[str, str] = decoder.get("outputs") or {}
        self.tokens = inputs.get("input_ids", "input_ids")
        self.mask = inputs.get("attention_mask", "attention_mask")
        self.positions: str | None = inputs.get("position_ids", "position_ids")
        self.logits = outputs.get("logits", "logits")
        self.dtype = self.logits_dtype = "float32"
        self.cache: list[tuple[str, str]] = []
        for layer in range(layers):
            for part in ("key", "value"):
                past = inputs.get(f"past_{part}_names", f"past_key_values.%d.{part}")
                present = outputs.get(f"present_{part}_names", f"present.%d.{part}")
                self.cache.append((past.replace("%d", str(layer)), present.replace("%d", str(layer))))

    def fit(self, session: Any) -> bool:
        """Look at the graph; False if it is of another kind than these names describe."""
        inputs = {each.name: each for each in session.get_inputs()}
        outputs = {each.name: each for each in session.get_outputs()}
        if self.positions not in inputs:
            self.positions = None
        known = {self.tokens, self.mask, *(past for past, _ in self.cache)}
        if self.positions is not None:
            known.add(self.positions)
        if set(inputs) != known or set(outputs) != {self.logits, *(present for _, present in self.cache)}:
            return False
        kinds = {inputs[past].type for past, _ in self.cache}
        if len(kinds) != 1 or not kinds | {outputs[self.logits].type} <= set(_TYPES):
            return False
        self.dtype, self.logits_dtype = _TYPES[kinds.pop()], _TYPES[outputs[self.logits].type]
        return all(len(inputs[past].shape) == 4 for past, _ in self.cache)


def open_decoder(folder: Path, document: Mapping[str, Any], facts: Mapping[str, Any]) -> Decoder | None:
    """Return a model's decoder, or `None` if its graph cannot be run in this way."""
    model = cast("Mapping[str, Any]", document["model"])
    decoder = cast("Mapping[str, Any]", model["decoder"])
    # Phi-3's models for long texts change all positions when one passes 4,096; GenAI's generators know how.
    is_long = str(model.get("type")).startswith("phi") and int(facts["context_length"]) > 4096
    if is_long or "pipeline" in decoder or not isinstance(decoder.get("filename"), str):
        return None
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    # Threads that wait in a loop take the cores from other processes of a server.
    options.add_session_config_entry(_SPIN, "0")
    settings = cast("Mapping[str, Any]", decoder.get("session_options") or {})
    for name in ("intra_op_num_threads", "inter_op_num_threads"):
        if settings.get(name) is not None:
            setattr(options, name, int(settings[name]))
    session = runtime.InferenceSession(
        str(folder / decoder["filename"]), options, providers=["CPUExecutionProvider"]
    )
    names = Names(decoder, int(facts["layers"]))
    if not names.fit(session):
        return None
    found = Decoder(session, names, facts)
    return found if _keeps_rows_apart(found) else None


def _keeps_rows_apart(decoder: Decoder) -> bool:
    """Try two rows of different lengths: each must say what it says alone."""
    numpy = _numpy()
    prompts = [[5, 6, 7], [8, 9, 10, 11, 12]]
    alone: list[Any] = []
    for prompt in prompts:
        cache = decoder.new_cache()
        cache.reserve(1, len(prompt) + 1, [])
        decoder.read(cache, 0, prompt)
        alone.append(decoder.advance(cache, [5], [len(prompt) + 1]).copy()[0])
    cache = decoder.new_cache()
    cache.reserve(2, 6, [])
    for place, prompt in enumerate(prompts):
        decoder.read(cache, place, prompt)
    together = decoder.advance(cache, [5, 5], [4, 6])
    largest = max(float(numpy.abs(row).max()) for row in alone)
    return all(
        float(numpy.abs(ours - theirs).max()) <= 0.02 * largest
        for ours, theirs in zip(together, alone, strict=True)
    )


def _numpy() -> Any:
    """Import numpy when a model is there, which has imported it already."""
    return importlib.import_module("numpy")
