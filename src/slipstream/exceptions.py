"""All errors, and their root under the names that code for MLflow catches."""

from slipstream.errors import (
    BY_CODE,
    AlreadyExistsError,
    BadRequestError,
    ConflictError,
    ConnectionFailedError,
    EndpointNotFoundError,
    ExecutionError,
    InternalError,
    InvalidParameterError,
    InvalidStateError,
    MissingDependencyError,
    NotFoundError,
    NotImplementedByServerError,
    PermissionDeniedError,
    SchemaEnforcementError,
    SlipstreamError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UntrustedModelError,
)

MlflowException = SlipstreamError
RestException = SlipstreamError
MlflowNotImplementedException = NotImplementedByServerError
MissingConfigException = InvalidParameterError
InvalidUrlException = InvalidParameterError
ExecutionException = ExecutionError

__all__ = [
    "BY_CODE",
    "AlreadyExistsError",
    "BadRequestError",
    "ConflictError",
    "ConnectionFailedError",
    "EndpointNotFoundError",
    "ExecutionError",
    "ExecutionException",
    "InternalError",
    "InvalidParameterError",
    "InvalidStateError",
    "InvalidUrlException",
    "MissingConfigException",
    "MissingDependencyError",
    "MlflowException",
    "MlflowNotImplementedException",
    "NotFoundError",
    "NotImplementedByServerError",
    "PermissionDeniedError",
    "RestException",
    "SchemaEnforcementError",
    "SlipstreamError",
    "TooManyRequestsError",
    "UnauthenticatedError",
    "UnavailableError",
    "UntrustedModelError",
]
