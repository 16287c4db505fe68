"""MLflow's error codes as numbers, with which code for MLflow raises its exception and asks what one means."""

import enum


class ErrorCode(enum.IntEnum):
    """Each member is its number; `Name` and `Value` go between numbers and names, as MLflow's own enumeration does."""

    INTERNAL_ERROR = 1
    TEMPORARILY_UNAVAILABLE = 2
    IO_ERROR = 3
    BAD_REQUEST = 4
    DEADLINE_EXCEEDED = 7
    CANCELLED = 8
    RESOURCE_EXHAUSTED = 9
    ABORTED = 10
    NOT_FOUND = 11
    ALREADY_EXISTS = 12
    UNAUTHENTICATED = 13
    INVALID_PARAMETER_VALUE = 1000
    ENDPOINT_NOT_FOUND = 1001
    MALFORMED_REQUEST = 1002
    INVALID_STATE = 1003
    PERMISSION_DENIED = 1004
    FEATURE_DISABLED = 1005
    CUSTOMER_UNAUTHORIZED = 1006
    REQUEST_LIMIT_EXCEEDED = 1007
    RESOURCE_CONFLICT = 1008
    NOT_IMPLEMENTED = 1010
    DATA_LOSS = 1011
    RESOURCE_ALREADY_EXISTS = 3001
    RESOURCE_DOES_NOT_EXIST = 3002

    @classmethod
    def Name(cls, number: int) -> str:  # noqa: N802  # the name that is called
        return cls(number).name

    @classmethod
    def Value(cls, name: str) -> int:  # noqa: N802  # the name that is called
        return cls[name]


globals().update(ErrorCode.__members__)
__all__ = ["ErrorCode", *ErrorCode.__members__]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]  # put there above
