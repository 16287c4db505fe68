"""Requests of language models as what their engine is to generate, for every protocol that carries them."""

import time
import uuid

import msgspec

from slipstream.errors import InvalidParameterError
from slipstream.llm.messages import (
    AnswerMessage,
    ChatChoice,
    ChatCompletion,
    ChatRequest,
    CompletionRequest,
    TextChoice,
    TextCompletion,
    Usage,
)
from slipstream.llm.model import ChatChunks, TextChunks, TextModel
from slipstream.serving.answer import Answer
from slipstream.serving.question import TextQuestion

_encode = msgspec.json.Encoder().encode


def chat_question(text: TextModel, request: ChatRequest, name: str, *, listed: bool = False) -> TextQuestion:
    """Return what is to be generated for a conversation.

    Args:
        text: the model.
        request: the conversation.
        name: what the answer calls the model.
        listed: the answer is the one item of a list, as MLflow's protocol has it.
    """
    prompt = text.chat_prompt(request)

    def finish(texts: list[str], reasons: list[str], prompt_tokens: int, tokens: int) -> Answer:
        completion = ChatCompletion(
            id=f"chatcmpl-{uuid.uuid4().hex}",
            created=int(time.time()),
            model=name,
            choices=[
                ChatChoice(index, AnswerMessage("assistant", content), reason)
                for index, (content, reason) in enumerate(zip(texts, reasons, strict=True))
            ],
            usage=Usage(prompt_tokens, tokens, prompt_tokens + tokens),
        )
        return Answer(200, _encode([completion] if listed else completion))

    chunks = ChatChunks(name, len(prompt), request) if request.stream else None
    return TextQuestion(prompts=[prompt], request=request, chunks=chunks, finish=finish)


def completion_question(
    text: TextModel, request: CompletionRequest, name: str, *, listed: bool = False
) -> TextQuestion:
    """Return what is to be generated for one text or several; the arguments are those of `chat_question`.

    Raises:
        InvalidParameterError: several texts are to be streamed.
    """
    given = [request.prompt] if isinstance(request.prompt, str) else request.prompt
    if request.stream and len(given) != 1:
        raise InvalidParameterError("A streamed completion takes one 'prompt', not a list of them.")
    prompts = [text.completion_prompt(msgspec.structs.replace(request, prompt=each)) for each in given]
    answers = request.n or 1

    def finish(texts: list[str], reasons: list[str], prompt_tokens: int, tokens: int) -> Answer:
        completion = TextCompletion(
            id=f"cmpl-{uuid.uuid4().hex}",
            created=int(time.time()),
            model=name,
            choices=[
                TextChoice(index, given[index // answers] + content if request.echo else content, reason)
                for index, (content, reason) in enumerate(zip(texts, reasons, strict=True))
            ],
            usage=Usage(prompt_tokens, tokens, prompt_tokens + tokens),
        )
        return Answer(200, _encode([completion] if listed else completion))

    single = msgspec.structs.replace(request, prompt=given[0])
    chunks = TextChunks(name, len(prompts[0]), single) if request.stream else None
    return TextQuestion(prompts=prompts, request=request, chunks=chunks, finish=finish)
