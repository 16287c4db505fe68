"""What params may be."""

from collections.abc import Sequence

from slipstream.entities import Param
from slipstream.errors import InvalidParameterError
from slipstream.rules import limits, names


def check_params(params: Sequence[Param]) -> dict[str, str]:
    """Return params of a batch as they will be stored."""
    pairs: dict[str, str] = {}
    for index, param in enumerate(params):
        names.check_key(param.key, f"params[{index}].key")
        if param.key in pairs:
            raise InvalidParameterError(
                f"Duplicate parameter keys have been submitted: '{param.key}'. A batch may hold each key once."
            )
        pairs[param.key] = limits.cut(param.value, limits.PARAM_VALUE, f"params[{index}].value")
    return pairs
