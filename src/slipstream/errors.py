"""Every error slipstream raises on purpose.

    SlipstreamError                   500  INTERNAL_ERROR
    ├── InvalidParameterError         400  INVALID_PARAMETER_VALUE
    ├── SchemaEnforcementError        400  INVALID_PARAMETER_VALUE (error_class SCHEMA_ENFORCEMENT_FAILED)
    ├── BadRequestError               400  BAD_REQUEST
    │   └── TooLargeError             413  BAD_REQUEST        (more at once than the server, or a proxy before it, takes)
    ├── AlreadyExistsError            400  RESOURCE_ALREADY_EXISTS
    ├── NotFoundError                 404  RESOURCE_DOES_NOT_EXIST
    ├── EndpointNotFoundError         404  ENDPOINT_NOT_FOUND
    ├── ConflictError                 409  RESOURCE_CONFLICT
    ├── PermissionDeniedError         403  PERMISSION_DENIED
    ├── UnauthenticatedError          401  UNAUTHENTICATED
    ├── TooManyRequestsError          429  REQUEST_LIMIT_EXCEEDED
    ├── InvalidStateError             500  INVALID_STATE
    ├── InternalError                 500  INTERNAL_ERROR
    │   └── StorageError              507  INTERNAL_ERROR     (a disk is full, or may not be written to)
    ├── NotImplementedByServerError   501  NOT_IMPLEMENTED
    ├── UnavailableError              503  TEMPORARILY_UNAVAILABLE
    ├── DeadlineExceededError         504  DEADLINE_EXCEEDED
    ├── UntrustedModelError           403  PERMISSION_DENIED  (a model that would run code on loading)
    ├── MissingDependencyError        500  INTERNAL_ERROR     (an optional library is not installed)
    ├── ConnectionFailedError         503  TEMPORARILY_UNAVAILABLE (client side: the server cannot be reached)
    └── ExecutionError                500  INTERNAL_ERROR     (a project run failed)

Each class carries its MLflow error code and HTTP status, so no other file maps one
to the other. The statuses look odd in places; they are MLflow's and clients rely on them.
"""

from typing import ClassVar


class SlipstreamError(Exception):
    """Root of all errors that slipstream raises on purpose."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500

    def __init__(self, message: object = "", error_code: object = None, **details: object) -> None:
        """Make an error; code for MLflow also gives a code, by name or as one of MLflow's numbered names, and details."""
        super().__init__(message)
        self._given_code = None if error_code is None else str(getattr(error_code, "name", error_code))
        self.json_kwargs = details

    @property
    def error_code(self) -> str:
        """The MLflow error code, under the name that `mlflow.exceptions.MlflowException` gives it."""
        return self._given_code or self.code

    @property
    def message(self) -> str:
        return str(self)

    @classmethod
    def invalid_parameter_value(cls, message: str, **details: object) -> "SlipstreamError":
        """Return MLflow's commonest error, as its class method of this name does."""
        return InvalidParameterError(message, **details)

    def get_http_status_code(self) -> int:
        """Return the HTTP status of the error's code."""
        known = BY_CODE.get(self.error_code)
        return self.status if self._given_code is None or known is None else known.status

    def serialize_as_json(self) -> str:
        """Return the error as servers answer it."""
        import json

        return json.dumps({"error_code": self.error_code, "message": self.message, **self.json_kwargs})


class InvalidParameterError(SlipstreamError):
    code = "INVALID_PARAMETER_VALUE"
    status = 400


class SchemaEnforcementError(InvalidParameterError):
    """Model input does not fit the model's signature."""


class BadRequestError(SlipstreamError):
    code = "BAD_REQUEST"
    status = 400


class TooLargeError(BadRequestError):
    status = 413


class AlreadyExistsError(SlipstreamError):
    code = "RESOURCE_ALREADY_EXISTS"
    status = 400


class NotFoundError(SlipstreamError):
    code = "RESOURCE_DOES_NOT_EXIST"
    status = 404


class EndpointNotFoundError(SlipstreamError):
    code = "ENDPOINT_NOT_FOUND"
    status = 404


class ConflictError(SlipstreamError):
    code = "RESOURCE_CONFLICT"
    status = 409


class PermissionDeniedError(SlipstreamError):
    code = "PERMISSION_DENIED"
    status = 403


class UnauthenticatedError(SlipstreamError):
    code = "UNAUTHENTICATED"
    status = 401


class TooManyRequestsError(SlipstreamError):
    code = "REQUEST_LIMIT_EXCEEDED"
    status = 429


class InvalidStateError(SlipstreamError):
    code = "INVALID_STATE"
    status = 500


class InternalError(SlipstreamError):
    """A failure that is nobody's bad input; its message is safe to show."""


class DamagedDatabaseError(InternalError):
    """What is stored cannot be read: the file was damaged, or a newer slipstream wrote it."""


class StorageError(InternalError):
    """The disk that keeps artifacts, here or at the server, is full, read-only, or closed to this user."""

    status = 507


class NotImplementedByServerError(SlipstreamError):
    code = "NOT_IMPLEMENTED"
    status = 501


class UnavailableError(SlipstreamError):
    code = "TEMPORARILY_UNAVAILABLE"
    status = 503


class DeadlineExceededError(SlipstreamError):
    code = "DEADLINE_EXCEEDED"
    status = 504


class UntrustedModelError(PermissionDeniedError):
    """Loading would run code from the model's files, and nobody said that they may be trusted."""


class MissingDependencyError(SlipstreamError):
    """An optional library is needed; the message names it and how to install it."""


class ConnectionFailedError(UnavailableError):
    """The tracking server cannot be reached; the request may be retried."""


class ExecutionError(SlipstreamError):
    """A project's command could not be run or ended with a non-zero exit code."""


# Error classes by MLflow code, for the client, which has only the code. Subclasses that share
# their parent's code are left out: the wire cannot tell them apart.
BY_CODE: dict[str, type[SlipstreamError]] = {
    cls.code: cls
    for cls in (
        InvalidParameterError,
        BadRequestError,
        AlreadyExistsError,
        NotFoundError,
        EndpointNotFoundError,
        ConflictError,
        PermissionDeniedError,
        UnauthenticatedError,
        TooManyRequestsError,
        InvalidStateError,
        InternalError,
        NotImplementedByServerError,
        UnavailableError,
        DeadlineExceededError,
    )
}
