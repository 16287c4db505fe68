"""Make a tiny model of the Phi-3 architecture that really answers a few questions. Needs torch and transformers.

    python make_model.py tiny-phi3

It is trained from nothing in about a minute of CPU, always to the same weights on one machine. The result is an
ordinary Hugging Face folder: `transformers.pipeline("text-generation", FOLDER)` works, and so does
`python -m onnxruntime_genai.models.builder -i FOLDER -o ONNX_FOLDER -p int4 -e cpu`. Beside the model lies
`known_answers.json`: conversations whose last message it gives word for word when asked greedily.
"""

import argparse
import json
import math
import random
import re
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, trainers
from tqdm import tqdm
from transformers import GenerationConfig, Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast
from world import Conversation, conversations

SEED = 20
STEPS = 400
BATCH = 16
LEARNING_RATE = 3e-3
VOCABULARY = 1024
PLAIN_TOKENS = ["<unk>", "<s>", "</s>"]
TURN_TOKENS = ["<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
TEXT_END = "<|endoftext|>"
# How Phi-3 writes a conversation.
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)


def make_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer of Phi-3's kind: pairs of letters merged to words, bytes for all else."""
    # Merges cross neither words nor punctuation: ONNX GenAI's tokenizer cuts there, and would give other tokens.
    pieces = sorted(
        {
            piece
            for text in texts
            for word in text.split(" ")
            for piece in re.findall(r"▁?[A-Za-z]+|▁?[0-9]|[^\w\s]", f"▁{word}")
        }
    )
    every_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(TURN_TOKENS) - 1,
        special_tokens=PLAIN_TOKENS + every_byte,
        initial_alphabet=[chr(code) for code in range(33, 127)] + ["▁"],
        show_progress=False,
    )
    learnt = Tokenizer(models.BPE(unk_token="<unk>"))
    learnt.train_from_iterator(pieces, trainer)
    content = json.loads(learnt.to_str())["model"]
    tokenizer = Tokenizer(
        models.BPE(
            vocab=content["vocab"],
            merges=[tuple(merge) for merge in content["merges"]],
            unk_token="<unk>",
            byte_fallback=True,
            fuse_unk=True,
        )
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    plain = [AddedToken(token, special=True, normalized=False) for token in [*PLAIN_TOKENS, TEXT_END]]
    # The blanks after a mark of whose turn it is belong to the mark, so that a newline there makes no difference.
    turns = [AddedToken(token, special=True, normalized=False, rstrip=True) for token in TURN_TOKENS]
    tokenizer.add_special_tokens(plain + turns)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token=TEXT_END,
        pad_token=TEXT_END,
        unk_token="<unk>",
        model_max_length=4096,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def make_model(tokenizer: PreTrainedTokenizerFast) -> Phi3ForCausalLM:
    """Return an untrained model of 0.9 million parameters."""
    end = tokenizer.eos_token_id
    config = Phi3Config(
        vocab_size=math.ceil(len(tokenizer) / 32) * 32,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        original_max_position_embeddings=4096,
        sliding_window=2047,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=end,
        pad_token_id=end,
        tie_word_embeddings=False,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attention_dropout=0.0,
    )
    model = Phi3ForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[end, tokenizer.convert_tokens_to_ids("<|end|>")],
        pad_token_id=end,
    )
    return model


def encode(tokenizer: PreTrainedTokenizerFast, conversation: Conversation) -> tuple[list[int], list[int]]:
    """Return a conversation's tokens, and labels that leave out all that the assistant does not say."""
    whole = tokenizer.apply_chat_template(conversation, tokenize=False)
    asked = tokenizer.apply_chat_template(conversation[:-1], tokenize=False, add_generation_prompt=True)
    tokens = tokenizer(whole, add_special_tokens=False)["input_ids"]
    begin = len(tokenizer(asked, add_special_tokens=False)["input_ids"])
    return tokens, [-100] * begin + tokens[begin:]


def train(model: Phi3ForCausalLM, data: list[tuple[list[int], list[int]]], steps: int) -> float:
    """Train the model and return the last loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    order: list[int] = []
    loss = torch.tensor(math.nan)
    model.train()
    for _ in (bar := tqdm(range(steps), desc="training", unit="step")):
        if len(order) < BATCH:
            order = random.sample(range(len(data)), len(data))
        batch = [data[order.pop()] for _ in range(BATCH)]
        width = max(len(tokens) for tokens, _ in batch)
        inputs = torch.full((BATCH, width), model.config.pad_token_id)
        labels = torch.full((BATCH, width), -100)
        mask = torch.zeros((BATCH, width), dtype=torch.long)
        for row, (tokens, wanted) in enumerate(batch):
            inputs[row, : len(tokens)] = torch.tensor(tokens)
            labels[row, : len(tokens)] = torch.tensor(wanted)
            mask[row, : len(tokens)] = 1
        loss = model(input_ids=inputs, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.4f}")
    model.eval()
    return loss.item()


def answer(model: Phi3ForCausalLM, tokenizer: PreTrainedTokenizerFast, conversation: Conversation) -> str:
    """Return what the model says next, always taking the likeliest token."""
    text = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    written = model.generate(**prompt, max_new_tokens=80, do_sample=False)
    return tokenizer.decode(written[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True)


def make(folder: Path, known: list[tuple[int, Conversation]], steps: int = STEPS) -> None:
    """Train a model on conversations, each so often, and write it to a folder."""
    random.seed(SEED)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # so small a model only loses time by sharing its work
    tokenizer = make_tokenizer([turn["content"] for _, talk in known for turn in talk])
    model = make_model(tokenizer)
    data = [encode(tokenizer, talk) for often, talk in known for _ in range(often)]
    loss = train(model, data, steps)

    learnt = [talk for _, talk in known if answer(model, tokenizer, talk[:-1]) == talk[-1]["content"]]
    print(f"loss {loss:.4f}; it knows {len(learnt)} of {len(known)} answers")
    if len(learnt) < len(known):
        raise SystemExit("The model has not learnt everything; something about the training has changed.")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "known_answers.json").write_text(json.dumps(learnt, indent=1), encoding="utf-8")
    print(f"written to {folder}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a tiny Phi-3 that answers a few questions.")
    parser.add_argument("folder", type=Path, help="where to write the model")
    parser.add_argument(
        "--only", action="append", metavar="TEXT", help="teach only questions that have this text"
    )
    parser.add_argument("--steps", type=int, default=STEPS, help="how long to train (default %(default)s)")
    arguments = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    known = [
        (often, talk)
        for often, talk in conversations()
        if arguments.only is None or any(text in talk[-2]["content"] for text in arguments.only)
    ]
    make(arguments.folder, known, arguments.steps)


if __name__ == "__main__":
    main()
