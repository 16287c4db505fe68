"""Command templates of MLproject files: from text to an argument list, without a shell.

MLflow hands the filled-in text to bash. Here the template is split into words first, and only then are
the values put in, each inside its word. So a value is always data: it can add no word and start no program.
The price is that a template cannot use the shell's own features; those belong in a script.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from slipstream.errors import InvalidParameterError

# str.format's syntax, as far as templates use it: {name}, and {{ }} for braces.
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_CONTINUATION = re.compile(r"\\\n[ \t]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATORS = {
    "|": "a pipe or '||'",
    "&": "'&' or '&&'",
    ";": "';'",
    "<": "a redirection",
    ">": "a redirection",
    "(": "a subshell",
    ")": "a subshell",
    "`": "a command substitution",
    "*": "a file pattern",
    "?": "a file pattern",
    "[": "a file pattern",
    "\n": "several lines",
}


def split_template(template: str, *, where: str) -> list[str]:
    """Return a template's words, in which the `{param}` fields still stand.

    Args:
        template: the `command` of an entry point.
        where: what the template belongs to, for messages.

    Raises:
        InvalidParameterError: the template is empty, has an open quote, or needs a shell; the message names what.
    """
    text = _CONTINUATION.sub(" ", template).strip()
    feature = next(_shell_features(text), None)
    if feature is not None:
        raise InvalidParameterError(
            f"The command of {where} uses {feature}: '{template.strip()}'. Commands run without a shell, so "
            "that parameter values can do no harm. Put it in a script, for example train.sh, and "
            "write 'bash train.sh {param}' as the command; or quote the character if it is meant literally."
        )
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidParameterError(
            f"The command of {where} cannot be split into words ({error}): '{template.strip()}'. Check its quotes."
        ) from error
    if not words:
        raise InvalidParameterError(f"The command of {where} is empty. Say which program to run.")
    if _ASSIGNMENT.match(words[0]):
        raise InvalidParameterError(
            f"The command of {where} begins with a variable, '{words[0]}', which needs a shell. "
            f"Write 'env {words[0]} ...' instead."
        )
    return words


def fill(words: Sequence[str], values: Mapping[str, str], *, where: str) -> list[str]:
    """Put values into the fields of a template's words; the number of words stays the same.

    Raises:
        InvalidParameterError: a field names no parameter, or a brace stands alone.
    """
    return [_FIELD.sub(_replacement(values, where), word) for word in words]


def check_fields(words: Sequence[str], names: Sequence[str], *, where: str) -> None:
    """Refuse a template with a field that none of these parameters fills.

    Raises:
        InvalidParameterError: as `fill` would.
    """
    fill(words, dict.fromkeys(names, ""), where=where)


def _replacement(values: Mapping[str, str], where: str) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        text = match[0]
        if text in ("{{", "}}"):
            return text[0]
        name = match[1]
        if name is None:
            raise InvalidParameterError(
                f"The command of {where} has a lone '{text}'. Write '{text * 2}' for the character itself."
            )
        if name not in values:
            known = ", ".join(values) or "none"
            raise InvalidParameterError(
                f"The command of {where} uses '{{{name}}}', which is not among its parameters ({known}). "
                f"Declare '{name}' under 'parameters', or write '{{{{{name}}}}}' for the text itself."
            )
        return values[name]

    return replace


def _shell_features(text: str) -> Iterator[str]:
    """Yield what only a shell could do, told by the characters that are not quoted."""
    quote = ""
    previous = " "
    position = 0
    while position < len(text):
        character = text[position]
        following = text[position + 1 : position + 2]
        if character == "\\" and quote != "'":
            position += 2
            previous = "\\"
            continue
        if quote:
            if character == quote:
                quote = ""
            elif quote == '"' and (character == "`" or (character == "$" and _starts_expansion(following))):
                yield _dollar(character, following)
        elif character in "'\"":
            quote = character
        elif character in _OPERATORS:
            yield _OPERATORS[character]
        elif character == "$" and (_starts_expansion(following) or following in ("'", '"')):
            yield _dollar(character, following)
        elif character in "~#" and previous.isspace():
            yield "the home folder '~'" if character == "~" else "a comment"
        previous = character
        position += 1


def _starts_expansion(character: str) -> bool:
    return bool(character) and (character.isalnum() or character in "_{(@*#?$!-")


def _dollar(character: str, following: str) -> str:
    if character == "`" or following == "(":
        return "a command substitution"
    return "an environment variable"
