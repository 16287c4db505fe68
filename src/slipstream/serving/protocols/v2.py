"""The Open Inference Protocol, version 2, over REST, with its extension for binary tensors.

    POST /v2/models/NAME/infer
    POST /v2/models/NAME/versions/VERSION/infer

A request is a JSON object with named tensors; their raw values may follow it. Its form and its metadata are those of
kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol; names of outputs are MLServer's.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from slipstream.errors import BadRequestError, InternalError, InvalidParameterError, SlipstreamError
from slipstream.serving.answer import JSON, Answer
from slipstream.serving.question import Question, Rows
from slipstream.serving.tensor_inputs import to_input
from slipstream.serving.tensors import Tensor, datatype_of, json_values, of_result, raw_values, to_array

if TYPE_CHECKING:
    from slipstream.serving.served import ServedModel

NAME = "v2"
ROUTES = {
    ("POST", "/v2/models/{model}/infer"): "infer",
    ("POST", "/v2/models/{model}/versions/{version}/infer"): "infer",
}
BODY_HEADER = b"inference-header-content-length"
LAST_EVENT = b""

_OCTETS = "application/octet-stream"
_SHOWN = 80
_MOST_DIGITS = 20
_REQUEST_PARAMETERS = frozenset({"binary_data_output", "content_type", "headers"})
_INPUT_PARAMETERS = frozenset({"binary_data_size", "content_type", "headers"})
_OUTPUT_PARAMETERS = frozenset({"binary_data", "content_type", "headers"})
_CONTENT_TYPES = ("pd", "np", None)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One output that a request wants."""

    name: str
    parameters: dict[str, Any] | None = None


class Inference(msgspec.Struct, frozen=True, kw_only=True):
    """A request."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[Asked] | None = None


_decode = msgspec.json.Decoder(Inference).decode
_encode = msgspec.json.Encoder().encode


def choose(_body: bytes) -> str | None:
    """The path names the model."""
    return None


# -- requests -------------------------------------------------------------------------------------------
def read(model: "ServedModel", _operation: str, body: bytes, json_length: str | None) -> Question:
    """Understand a request.

    Args:
        model: who is asked.
        body: JSON, and maybe raw tensors behind it.
        json_length: how much of it is JSON, as the header `Inference-Header-Content-Length` says.

    Raises:
        BadRequestError: a field is wrong, or a value cannot be what the model takes; it is named.
        InvalidParameterError: a parameter is unknown, or the model has no tensors.
    """
    if model.text is not None:
        raise InvalidParameterError(
            f"Model '{model.name}' generates text and takes no tensors. Use POST /v1/chat/completions, "
            "/v1/completions or /invocations."
        )
    head, rest = _divide(body, json_length)
    request = _parse(head)
    if not request.inputs:
        raise BadRequestError("'inputs' is empty; send one tensor for each input of the model.")
    own = request.parameters or {}
    params = {name: value for name, value in own.items() if name in model.param_names}
    if own:
        _require_known(own, _REQUEST_PARAMETERS | model.param_names, "the request")
    if "content_type" in own and own["content_type"] not in _CONTENT_TYPES:
        raise InvalidParameterError(
            f"Invalid value {str(own['content_type'])[:_SHOWN]!r} for 'content_type' of the request: use 'pd' or 'np'."
        )
    answer = _AnswerForm(model, request)
    arrays = _arrays(request, rest)
    table = own.get("content_type") == "pd" or any(tensor.content_type == "pd" for tensor in request.inputs)
    data = to_input(model, arrays, table=table)
    if isinstance(data, Rows):
        return Question(data=None, params=params or None, rows=data, finish=answer.finish)
    return Question(data=data, params=params or None, finish=answer.finish)


def _divide(body: bytes, json_length: str | None) -> tuple[bytes, memoryview]:
    if json_length is None:
        return body, memoryview(b"")
    # Not longer: Python makes no number of thousands of digits.
    usual = len(json_length) <= _MOST_DIGITS and json_length.isascii() and json_length.isdigit()
    if not usual or int(json_length) > len(body):
        raise BadRequestError(
            f"Invalid value {json_length[:_SHOWN]!r} for the header Inference-Header-Content-Length: it is the number of "
            f"bytes of JSON at the beginning of the body, which has {len(body)}."
        )
    length = int(json_length)
    return body[:length], memoryview(body)[length:]


def _parse(head: bytes) -> Inference:
    try:
        try:
            return _decode(head)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            # Python's clients write NaN, which is no JSON.
            document = json.loads(head.decode("utf-8-sig"))
            if b"\\u" in head:
                json.dumps(
                    document, ensure_ascii=False
                ).encode()  # half a character is no text for anybody else
            return msgspec.convert(document, Inference)
    except msgspec.ValidationError as error:
        raise BadRequestError(
            f"The body is no inference request: {error}. Write for example "
            '{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [0.5, 1.5]}]}.'
        ) from error
    except (ValueError, RecursionError) as error:
        shown = head[:_SHOWN].decode("utf-8", "replace")
        raise BadRequestError(f"The body is not valid JSON: {error}. It begins: {shown!r}") from error


def _require_known(given: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = [name[:_SHOWN] for name in given if name not in known]
    if unknown:
        raise InvalidParameterError(
            f"Unknown parameters of {where}: {', '.join(unknown[:10])}. Known are {', '.join(sorted(known))}; leave out "
            "the rest."
        )


def _arrays(request: Inference, rest: memoryview) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    position = 0
    for tensor in request.inputs:
        if tensor.name in arrays:
            raise BadRequestError(f"The input '{tensor.name}' is there more than once; send it once.")
        raw = None
        if tensor.parameters:
            where = f"input '{tensor.name}'"
            _require_known(tensor.parameters, _INPUT_PARAMETERS, where)
            size = tensor.parameters.get("binary_data_size")
            if size is not None:
                if type(size) is not int or not 0 <= size <= len(rest) - position:
                    raise BadRequestError(
                        f"Invalid value {str(size)[:_SHOWN]!r} for 'binary_data_size' of {where}: it is a number of bytes, "
                        f"and {len(rest) - position} are left behind the JSON (the header "
                        "Inference-Header-Content-Length says where it ends)."
                    )
                raw = rest[position : position + size]
                position += size
        arrays[tensor.name] = to_array(tensor, raw)
    if position != len(rest):
        raise BadRequestError(
            f"{len(rest) - position} bytes of raw values belong to no input: give each its 'binary_data_size'."
        )
    return arrays


# -- answers --------------------------------------------------------------------------------------------
class _AnswerForm:
    """Tells a model's answer as one request wants it."""

    def __init__(self, model: "ServedModel", request: Inference) -> None:
        self._model = model
        self._id = request.id
        own = request.parameters or {}
        self._binary = _truth(own, "binary_data_output", "the request")
        self._asked = request.outputs
        self._own_binary: dict[str, bool] = {}
        for asked in request.outputs or ():
            if asked.parameters:
                where = f"output '{asked.name}'"
                _require_known(asked.parameters, _OUTPUT_PARAMETERS, where)
                if "binary_data" in asked.parameters:
                    self._own_binary[asked.name] = _truth(asked.parameters, "binary_data", where)

    def finish(self, result: Any) -> Answer:
        """Return the answer.

        Raises:
            BadRequestError: an output was wanted that the model does not give.
            InternalError: the result holds something that has no form in tensors.
        """
        outputs = _outputs(self._model, result)
        if self._asked:
            missing = [asked.name[:_SHOWN] for asked in self._asked if asked.name not in outputs]
            if missing:
                raise BadRequestError(
                    f"The model gives no output {', '.join(missing[:10])}; its outputs are {', '.join(outputs)}. Name one "
                    "of these in 'outputs', or leave 'outputs' out."
                )
            outputs = {asked.name: outputs[asked.name] for asked in self._asked}
        described: list[dict[str, Any]] = []
        raw: list[bytes] = []
        all_plain = True
        for name, value in outputs.items():
            array = of_result(value)
            output: dict[str, Any] = {
                "name": name,
                "shape": list(array.shape),
                "datatype": datatype_of(array.dtype),
            }
            if self._own_binary.get(name, self._binary):
                octets = raw_values(array)
                raw.append(octets)
                output["parameters"] = {"binary_data_size": len(octets)}
            else:
                values, packed, plain = json_values(array)
                all_plain = all_plain and plain
                if packed:
                    output["parameters"] = {"content_type": "base64"}
                output["data"] = values
            described.append(output)
        document: dict[str, Any] = {"model_name": self._model.name}
        if self._id is not None:
            document["id"] = self._id
        document["outputs"] = described
        # NaN becomes null, as MLServer writes it; infinities have no such form, and come as Python writes them.
        head = _encode(document) if all_plain else json.dumps(document).encode()
        if not raw:
            return Answer(200, head, JSON)
        length = (BODY_HEADER, b"%d" % len(head))
        return Answer(200, b"".join([head, *raw]), _OCTETS, (length,))


def _truth(parameters: Mapping[str, Any], name: str, where: str) -> bool:
    value = parameters.get(name, False)
    if not isinstance(value, bool):
        raise InvalidParameterError(
            f"Invalid value {str(value)[:_SHOWN]!r} for '{name}' of {where}: it is true or false."
        )
    return value


def _outputs(model: "ServedModel", result: Any) -> dict[str, Any]:
    """Return the outputs in a model's answer by name."""
    if isinstance(result, dict):
        named = cast("dict[Any, Any]", result)
        return {str(name): value for name, value in named.items()}
    if getattr(result, "ndim", 0) == 2 and hasattr(result, "columns"):  # a table of pandas
        columns = {str(name): result.iloc[:, number] for number, name in enumerate(result.columns)}
        if len(columns) != len(result.columns):
            raise InternalError("The model answered with a table in which two columns have one name.")
        return columns
    return {model.output_name: result}


# -- errors ---------------------------------------------------------------------------------------------
def refusal(error: SlipstreamError, stack_trace: str | None = None) -> Answer:
    """Tell of an error as the protocol does."""
    headers = ((b"retry-after", b"1"),) if error.status in (429, 503) else ()
    return Answer(error.status, _encode({"error": str(error)}), headers=headers)


def event(_part: Any) -> bytes:
    """Nothing is streamed here: `read` never asks for it."""
    raise InternalError("The Open Inference Protocol has no streamed answers.")


def error_event(error: SlipstreamError) -> bytes:
    """Tell of an error in the midst of a stream, should there ever be one."""
    return refusal(error).body
