"""Text generation with a Hugging Face model: several sequences of different lengths in one batch.

Sequences share one key/value cache, padded on the left, so that one may join or leave between two steps:
joining pads the shorter side, leaving drops a row and the padding that nobody needs any more. A model whose
cache is not of the plain growing kind keeps a batch of one for each sequence.
"""

import importlib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

from slipstream.errors import InvalidParameterError
from slipstream.llm.sampling import Sampling

_NO_LIMIT = 1_000_000
"""Tokenizers without a limit of their own say a very large number."""


class TransformersBackend:
    """Implements `slipstream.llm.model.ChatBackend` with a causal language model and its tokenizer."""

    batch_size = 32

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        limits = (
            getattr(model.config, "max_position_embeddings", None),
            getattr(tokenizer, "model_max_length", None),
        )
        known = [int(limit) for limit in limits if isinstance(limit, int) and 0 < limit < _NO_LIMIT]
        self.context_length = min(known, default=2048)
        self.end_tokens = frozenset(
            _numbers(model.generation_config.eos_token_id) + _numbers(tokenizer.eos_token_id)
        )
        self._batches: list[_Batch] = []
        self._fresh: list[_Batch] = []

    def encode(self, text: str) -> list[int]:
        return self._one_beginning(list(self.tokenizer(text)["input_ids"]))

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        if not self.tokenizer.chat_template:
            raise InvalidParameterError(
                "The model's tokenizer has no chat template, so it cannot hold a conversation. Log it with "
                "task='llm/v1/completions', or set tokenizer.chat_template before logging."
            )
        try:
            text = self.tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        except Exception as error:
            # The template is the model author's program; what it raises is about the conversation.
            raise InvalidParameterError(f"The model's chat template refuses 'messages': {error}") from error
        # The template writes the special tokens itself.
        return self._one_beginning(list(self.tokenizer(text, add_special_tokens=False)["input_ids"]))

    def decode(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def _one_beginning(self, tokens: list[int]) -> list[int]:
        first = self.tokenizer.bos_token_id
        return tokens[1:] if first is not None and tokens[:2] == [first, first] else tokens

    # -- the batch ----------------------------------------------------------------------------------
    def admit(self, prompt: Sequence[int], sampling: Sampling) -> Hashable:
        torch = _torch()
        transformers: Any = importlib.import_module("transformers")

        row = _Row(prompt, sampling, self.model.device)
        cache = transformers.DynamicCache()
        with torch.inference_mode():
            answer = self.model(
                input_ids=torch.tensor([row.tokens], device=self.model.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            batch = _Batch([row], answer.past_key_values)
            batch.sample(answer.logits[:, -1])
        self._fresh.append(batch)
        return row

    def step(self) -> list[tuple[Hashable, int]]:
        torch = _torch()

        if newcomers := [row for batch in self._fresh for row in batch.rows]:
            with torch.inference_mode():
                for batch in self._batches:
                    batch.drop_released()
                self._take_in_fresh()
            return [(row, row.tokens[-1]) for row in newcomers]
        self._fresh = []
        rows: list[_Row] = []
        with torch.inference_mode():
            for batch in self._batches:
                batch.drop_released()
                if batch.rows:
                    batch.advance(self.model)
                    rows += batch.rows
        self._batches = [batch for batch in self._batches if batch.rows]
        return [(row, row.tokens[-1]) for row in rows]

    def _take_in_fresh(self) -> None:
        self._batches = [batch for batch in self._batches if batch.rows]
        for batch in self._fresh:
            if not batch.rows:
                continue
            if self._batches and batch.is_plain and self._batches[0].is_plain:
                self._batches[0].join(batch)
            else:
                self._batches.append(batch)
        self._fresh = []

    def release(self, sequence: Hashable) -> None:
        row = cast("_Row", sequence)
        row.released = True
        for batch in self._fresh:
            if row in batch.rows:
                batch.rows.remove(row)


class _Row:
    """One sequence: its tokens, and how to choose the next."""

    def __init__(self, prompt: Sequence[int], sampling: Sampling, device: Any) -> None:
        torch = _torch()

        self.tokens = list(prompt)
        self.prompt_length = len(self.tokens)
        self.sampling = sampling
        self.released = False
        self.is_greedy = not sampling.temperature
        self.is_penalised = bool(
            sampling.frequency_penalty
            or sampling.presence_penalty
            or (sampling.repetition_penalty or 1.0) != 1.0
        )
        self._random = None
        if not self.is_greedy:
            self._random = torch.Generator(device=device)
            if sampling.seed is None:
                self._random.seed()
            else:
                self._random.manual_seed(sampling.seed & (2**63 - 1))

    def choose(self, logits: Any) -> int:
        """Return the next token by the row's own rules; `logits` are those of the row, as float32."""
        torch = _torch()

        sampling = self.sampling
        if self.is_penalised:
            logits = self._penalise(logits)
        if self.is_greedy:
            return int(logits.argmax())
        logits = logits / sampling.temperature
        if sampling.top_k and sampling.top_k < len(logits):
            least = torch.topk(logits, sampling.top_k).values[-1]
            logits = logits.masked_fill(logits < least, float("-inf"))
        chances = torch.softmax(logits, dim=-1)
        if sampling.top_p is not None and sampling.top_p < 1.0:
            ordered, places = torch.sort(chances, descending=True)
            # The token that crosses the limit stays, so that there is always one.
            beyond = torch.cumsum(ordered, dim=-1) - ordered >= max(sampling.top_p, 1e-9)
            chances = chances.scatter(0, places, ordered.masked_fill(beyond, 0.0))
        return int(torch.multinomial(chances, 1, generator=self._random))

    def _penalise(self, logits: Any) -> Any:
        torch = _torch()

        logits = logits.clone()
        repetition = self.sampling.repetition_penalty or 1.0
        if repetition != 1.0:
            seen = torch.tensor(sorted(set(self.tokens)), device=logits.device)
            values = logits[seen]
            logits[seen] = torch.where(values > 0, values / repetition, values * repetition)
        written = self.tokens[self.prompt_length :]
        if written:
            places, counts = torch.tensor(written, device=logits.device).unique(return_counts=True)
            logits[places] -= counts * (self.sampling.frequency_penalty or 0.0)
            logits[places] -= self.sampling.presence_penalty or 0.0
        return logits


class _Batch:
    """Rows with one cache. Row i has its newest `len(rows[i].tokens) - 1` places there, the last of them at the end."""

    def __init__(self, rows: list[_Row], cache: Any) -> None:
        caches: Any = importlib.import_module("transformers.cache_utils")

        self.rows = rows
        self.cache = cache
        self.is_plain = type(cache) is caches.DynamicCache and all(
            type(layer) is caches.DynamicLayer for layer in cache.layers
        )

    def advance(self, model: Any) -> None:
        """Feed each row its last token and choose the next."""
        torch = _torch()

        lengths = [len(row.tokens) for row in self.rows]
        device = model.device
        arguments: dict[str, Any] = {}
        width = self.cache.get_seq_length() + 1
        if self.is_plain and min(lengths) < width:
            # A row's places are the last ones; what is before them is padding.
            begins = torch.tensor([width - length for length in lengths], device=device)
            arguments["attention_mask"] = (torch.arange(width, device=device) >= begins[:, None]).long()
        if self.is_plain:
            arguments["position_ids"] = torch.tensor([[length - 1] for length in lengths], device=device)
        answer = model(
            input_ids=torch.tensor([[row.tokens[-1]] for row in self.rows], device=device),
            past_key_values=self.cache,
            use_cache=True,
            **arguments,
        )
        self.sample(answer.logits[:, -1])

    def sample(self, logits: Any) -> None:
        """Append to each row its next token."""
        likeliest = logits.argmax(dim=-1).tolist()
        for number, row in enumerate(self.rows):
            if row.is_greedy and not row.is_penalised:
                row.tokens.append(likeliest[number])
            else:
                row.tokens.append(row.choose(logits[number].float()))

    def drop_released(self) -> None:
        """Let go of rows that are not wanted any more, and of the padding that only they needed."""
        torch = _torch()

        kept = [number for number, row in enumerate(self.rows) if not row.released]
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[number] for number in kept]
        if not kept or not self.is_plain:
            return
        self.cache.batch_select_indices(torch.tensor(kept, device=self.cache.layers[0].keys.device))
        unused = self.cache.get_seq_length() + 1 - max(len(row.tokens) for row in self.rows)
        if unused > 0:
            for layer in self.cache.layers:
                layer.keys = layer.keys[:, :, unused:]
                layer.values = layer.values[:, :, unused:]

    def join(self, other: "_Batch") -> None:
        """Take in the rows of another batch."""
        torch = _torch()

        width = max(self.cache.get_seq_length(), other.cache.get_seq_length())
        for ours, theirs in zip(self.cache.layers, other.cache.layers, strict=True):
            ours.keys = torch.cat([_padded(ours.keys, width), _padded(theirs.keys, width)])
            ours.values = torch.cat([_padded(ours.values, width), _padded(theirs.values, width)])
        self.rows += other.rows


def _torch() -> Any:
    """Import torch when a model is there, which has imported it already."""
    return importlib.import_module("torch")


def default_sampling(generation_config: Any) -> Sampling:
    """Return what a model's own generation_config.json asks for."""
    sample = bool(getattr(generation_config, "do_sample", False))
    penalty = getattr(generation_config, "repetition_penalty", None)
    return Sampling(
        max_tokens=getattr(generation_config, "max_new_tokens", None),
        temperature=(generation_config.temperature or 1.0) if sample else 0.0,
        top_p=generation_config.top_p if sample else None,
        top_k=generation_config.top_k if sample else None,
        repetition_penalty=penalty,
    )


def _padded(states: Any, width: int) -> Any:
    torch = _torch()

    missing = width - states.shape[-2]
    return states if not missing else torch.nn.functional.pad(states, (0, 0, missing, 0))


def _numbers(ids: Any) -> list[int]:
    if ids is None:
        return []
    return [int(ids)] if isinstance(ids, int) else [int(each) for each in ids]
