"""Schemas: the names and types of a model's inputs, outputs and params.

The classes carry MLflow's names and read and write its JSON byte for byte, so a signature travels between
the two. Nothing here imports numpy or pandas until a tensor or a dtype is asked for: reading an MLmodel
file must stay cheap.
"""

import datetime as dt
import enum
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Union, cast

from slipstream.errors import InvalidParameterError


class DataType(enum.Enum):
    """A scalar type; the member's name is its JSON form."""

    boolean = 1
    integer = 2
    """32 bits, signed."""
    long = 3
    """64 bits, signed."""
    float = 4
    """32 bits."""
    double = 5
    """64 bits."""
    string = 6
    binary = 7
    datetime = 8
    """Nanoseconds, without a time zone."""

    def __repr__(self) -> str:
        return self.name

    def to_numpy(self) -> Any:
        """Return the numpy dtype that holds this type's values."""
        import numpy as np

        return np.dtype(_NUMPY_NAMES[self.name])

    def to_pandas(self) -> Any:
        """Return the dtype of a pandas column of this type; `object` for text and bytes."""
        import numpy as np

        return np.dtype(object) if self in (DataType.string, DataType.binary) else self.to_numpy()

    def to_python(self) -> type:
        return _PYTHON_TYPES[self.name]

    @classmethod
    def all_types(cls) -> list["DataType"]:
        return list(cls)

    @classmethod
    def from_numpy_type(cls, np_type: Any) -> "DataType | None":
        """Return the type whose numpy dtype equals `np_type`, or `None`."""
        return next((member for member in cls if member.to_numpy() == np_type), None)


_NUMPY_NAMES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "str",
    "binary": "bytes",
    "datetime": "datetime64[ns]",
}
_PYTHON_TYPES: dict[str, type] = {
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "string": str,
    "binary": bytes,
    "datetime": dt.date,
}

ValueType = Union[DataType, "Array", "Object", "Map", "AnyType"]


def _type_to_dict(dtype: ValueType) -> dict[str, Any]:
    return {"type": dtype.name} if isinstance(dtype, DataType) else dtype.to_dict()


def _type_from_dict(spec: Any, where: str) -> ValueType:
    if not isinstance(spec, Mapping) or "type" not in spec:
        raise InvalidParameterError(
            f"Schema of {where} must be a JSON object with a key 'type', got {spec!r}"
        )
    fields = cast("Mapping[str, Any]", spec)
    kind = fields["type"]
    if kind == "array":
        return Array(_type_from_dict(fields.get("items"), f"the items of {where}"))
    if kind == "object":
        properties = fields.get("properties")
        if not isinstance(properties, Mapping):
            raise InvalidParameterError(f"Schema of {where} has type 'object' but no mapping 'properties'")
        return Object(
            [
                Property.from_json_dict(**{str(name): value})
                for name, value in cast("Mapping[Any, Any]", properties).items()
            ]
        )
    if kind == "map":
        return Map(_type_from_dict(fields.get("values"), f"the values of {where}"))
    if kind == "any":
        return AnyType()
    if kind in ("sparkml_vector", "sparkml-vector"):
        return SparkMLVector()
    return _to_type(kind, where)


def _to_type(dtype: Any, where: str) -> ValueType:
    if isinstance(dtype, str):
        if dtype in DataType.__members__:
            return DataType[dtype]
        raise InvalidParameterError(
            f"Unsupported type '{dtype}' of {where}; use one of {[member.name for member in DataType]}, "
            "Array, Object, Map or AnyType"
        )
    if isinstance(dtype, (DataType, Array, Object, Map, AnyType)):
        return dtype
    raise InvalidParameterError(
        f"The type of {where} must be a DataType, Array, Object, Map, AnyType or a type's name, "
        f"got {type(dtype).__name__}"
    )


class _Structural:
    """Equality by content; the classes below are small values that nobody changes after making them."""

    def to_dict(self) -> dict[str, Any]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.to_dict() == cast("_Structural", other).to_dict()

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))


class Property(_Structural):
    """A named member of an `Object`."""

    def __init__(self, name: str, dtype: ValueType | str, required: bool = True) -> None:
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise InvalidParameterError(f"Expected name to be a string, got type {type(name).__name__}")
        self.name = name
        self.dtype: ValueType = _to_type(dtype, f"property '{name}'")
        self.required = required

    def to_dict(self) -> dict[str, Any]:
        return {self.name: {**_type_to_dict(self.dtype), "required": self.required}}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> "Property":
        """Read `{name: {"type": ..., "required": ...}}`; a missing `required` means true."""
        if len(kwargs) != 1:
            raise InvalidParameterError(
                f"Expected Property JSON to contain a single key as name, got {len(kwargs)} keys."
            )
        ((name, spec),) = kwargs.items()
        dtype = _type_from_dict(spec, f"property '{name}'")
        return cls(name, dtype, spec.get("required", True))

    def __lt__(self, other: "Property") -> bool:
        return self.name < other.name

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype!r} ({'required' if self.required else 'optional'})"


class Object(_Structural):
    """A JSON object with known properties, kept in the order of their names."""

    def __init__(self, properties: list[Property]) -> None:
        if not isinstance(properties, list) or not properties:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidParameterError(f"An Object needs a non-empty list of Property, got {properties!r}")
        names = [prop.name for prop in properties]
        if duplicates := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidParameterError(f"Found duplicated property names: {', '.join(duplicates)}")
        self.properties = sorted(properties)

    def to_dict(self) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for prop in self.properties:
            merged.update(prop.to_dict())
        return {"type": "object", "properties": merged}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> "Object":
        return cast("Object", _type_from_dict({**kwargs, "type": "object"}, "an object"))

    def __repr__(self) -> str:
        return "{" + ", ".join(map(repr, self.properties)) + "}"


class Array(_Structural):
    """A JSON array whose items share one type."""

    def __init__(self, dtype: ValueType | str) -> None:
        self.dtype: ValueType = _to_type(dtype, "the items of an array")

    def to_dict(self) -> dict[str, Any]:
        return {"type": "array", "items": _type_to_dict(self.dtype)}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> "Array":
        return cast("Array", _type_from_dict({**kwargs, "type": "array"}, "an array"))

    def __repr__(self) -> str:
        return f"Array({self.dtype!r})"


class SparkMLVector(Array):
    """A Spark ML vector; kept so that such signatures survive a round trip."""

    def __init__(self) -> None:
        super().__init__(DataType.double)

    def to_dict(self) -> dict[str, Any]:
        return {"type": "sparkml_vector"}

    def __repr__(self) -> str:
        return "SparkML vector"


class Map(_Structural):
    """A JSON object with arbitrary keys whose values share one type."""

    def __init__(self, value_type: ValueType | str) -> None:
        self.value_type: ValueType = _to_type(value_type, "the values of a map")

    def to_dict(self) -> dict[str, Any]:
        return {"type": "map", "values": _type_to_dict(self.value_type)}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> "Map":
        return cast("Map", _type_from_dict({**kwargs, "type": "map"}, "a map"))

    def __repr__(self) -> str:
        return f"Map(str -> {self.value_type!r})"


class AnyType(_Structural):
    """Any JSON value, null included; never checked."""

    def to_dict(self) -> dict[str, Any]:
        return {"type": "any"}

    def __repr__(self) -> str:
        return "Any"


class IncompatibleTypesError(InvalidParameterError):
    """Two examples of one value have types that no single type covers."""


def merge_types(left: ValueType, right: ValueType) -> ValueType:
    """Return the type that covers both; properties that only one side has become optional.

    Raises:
        IncompatibleTypesError: the two share no type.
    """
    if isinstance(left, AnyType):
        return _optional(right)
    if isinstance(right, AnyType):
        return _optional(left)
    if left == right:
        return left
    if isinstance(left, Array) and isinstance(right, Array):
        return Array(merge_types(left.dtype, right.dtype))
    if isinstance(left, Map) and isinstance(right, Map):
        return Map(merge_types(left.value_type, right.value_type))
    if isinstance(left, Object) and isinstance(right, Object):
        mine = {prop.name: prop for prop in left.properties}
        theirs = {prop.name: prop for prop in right.properties}
        merged: list[Property] = []
        for name in mine.keys() | theirs.keys():
            a, b = mine.get(name), theirs.get(name)
            if a is not None and b is not None:
                merged.append(Property(name, merge_types(a.dtype, b.dtype), a.required and b.required))
            else:
                merged.append(Property(name, cast("Property", a or b).dtype, required=False))
        return Object(merged)
    raise IncompatibleTypesError(f"Types {left!r} and {right!r} cannot be merged")


def _optional(dtype: ValueType) -> ValueType:
    # An object seen beside null or {}: any of its properties may be absent.
    if isinstance(dtype, Object):
        return Object([Property(prop.name, prop.dtype, required=False) for prop in dtype.properties])
    return dtype


class ColSpec(_Structural):
    """The name and type of one column."""

    def __init__(self, type: ValueType | str, name: str | int | None = None, required: bool = True) -> None:
        self.type: ValueType = _to_type(type, "a column" if name is None else f"column '{name}'")
        self.name = name
        self.required = required

    def to_dict(self) -> dict[str, Any]:
        spec = _type_to_dict(self.type)
        if self.name is not None:
            spec["name"] = self.name
        spec["required"] = self.required
        return spec

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> "ColSpec":
        name = kwargs.get("name")
        dtype = _type_from_dict(kwargs, "a column" if name is None else f"column '{name}'")
        # MLflow wrote no `required` before 2.6; every column was required then.
        required = kwargs.get("required")
        return cls(dtype, name, required=True if required is None else required)

    def __repr__(self) -> str:
        text = f"{self.type!r} ({'required' if self.required else 'optional'})"
        return text if self.name is None else f"{self.name!r}: {text}"


class TensorSpec(_Structural):
    """The dtype and shape of one tensor; -1 in the shape is free."""

    required: ClassVar[bool] = True

    def __init__(self, type: Any, shape: Sequence[int], name: str | int | None = None) -> None:
        import numpy as np

        if not isinstance(type, np.dtype):
            raise InvalidParameterError(
                f"Expected `type` of a TensorSpec to be a numpy.dtype, got {type!r}; write np.dtype('float32')"
            )
        dtype: Any = type  # pyright: ignore[reportUnknownVariableType]
        if dtype.kind in "US" and dtype.itemsize:
            raise InvalidParameterError(
                f"A TensorSpec holds no text length; use np.dtype('{dtype.type.__name__.rstrip('_')}')"
            )
        if not isinstance(shape, (tuple, list)):
            raise InvalidParameterError(f"Expected `shape` of a TensorSpec to be a tuple, got {shape!r}")
        self.type: Any = dtype
        self.shape = tuple(shape)
        self.name = name

    def to_dict(self) -> dict[str, Any]:
        spec: dict[str, Any] = {} if self.name is None else {"name": self.name}
        return {**spec, "type": "tensor", "tensor-spec": {"dtype": self.type.name, "shape": self.shape}}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> "TensorSpec":
        import numpy as np

        spec = kwargs.get("tensor-spec")
        if not isinstance(spec, Mapping) or "dtype" not in spec or "shape" not in spec:
            raise InvalidParameterError("TensorSpec JSON needs 'tensor-spec' with 'dtype' and 'shape'")
        fields = cast("Mapping[str, Any]", spec)
        name, shape = kwargs.get("name"), fields["shape"]
        where = "a tensor" if name is None else f"tensor '{name}'"
        if not isinstance(shape, (list, tuple)) or not all(
            type(size) is int for size in cast("list[Any]", shape)
        ):
            raise InvalidParameterError(
                f"The shape of {where} must be a list of whole numbers, got {shape!r}"
            )
        try:
            # Only from a name: numpy makes a dtype of nearly anything, float64 of None.
            dtype = np.dtype(str(fields["dtype"]))
        except (TypeError, ValueError, SyntaxError) as error:
            raise InvalidParameterError(
                f"The dtype of {where} must be the name of a numpy dtype such as 'float64', got {fields['dtype']!r}"
            ) from error
        return cls(dtype, tuple(cast("list[int]", shape)), name)

    def __repr__(self) -> str:
        text = f"Tensor({self.type.name!r}, {self.shape!r})"
        return text if self.name is None else f"{self.name!r}: {text}"


class Schema:
    """The columns, or the tensors, of a dataset."""

    def __init__(self, inputs: list[ColSpec] | list[TensorSpec] | list[ColSpec | TensorSpec]) -> None:
        if not isinstance(inputs, list) or not inputs:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidParameterError(
                f"A Schema needs a non-empty list of ColSpec or TensorSpec, got {inputs!r}"
            )
        named = [spec.name is not None for spec in inputs]
        tensors = [isinstance(spec, TensorSpec) for spec in inputs]
        if any(named) and not all(named):
            raise InvalidParameterError(
                "A Schema cannot mix named and unnamed inputs; names given: "
                f"{[spec.name for spec in inputs]}. Name all or none."
            )
        if any(tensors) and not all(tensors):
            raise InvalidParameterError("A Schema cannot mix ColSpec and TensorSpec; choose one of the two.")
        if all(tensors) and len(inputs) > 1 and not all(named):
            raise InvalidParameterError("A Schema of several tensors needs a name for each TensorSpec.")
        if not any(named) and any(spec.required is False for spec in inputs):
            raise InvalidParameterError(
                "An unnamed column cannot be optional; name all inputs or make all inputs required."
            )
        self.inputs: list[ColSpec | TensorSpec] = list(inputs)

    def is_tensor_spec(self) -> bool:
        return isinstance(self.inputs[0], TensorSpec)

    def has_input_names(self) -> bool:
        return self.inputs[0].name is not None

    def input_names(self) -> list[Any]:
        """Return the names, or positions where inputs have none."""
        return [position if spec.name is None else spec.name for position, spec in enumerate(self.inputs)]

    def required_input_names(self) -> list[Any]:
        return [
            position if spec.name is None else spec.name
            for position, spec in enumerate(self.inputs)
            if spec.required
        ]

    def optional_input_names(self) -> list[Any]:
        return [spec.name for spec in self.inputs if not spec.required]

    def input_types(self) -> list[Any]:
        return [spec.type for spec in self.inputs]

    def input_dict(self) -> dict[Any, ColSpec | TensorSpec]:
        if not self.has_input_names():
            raise InvalidParameterError("Cannot get input dict for schema without names.")
        return {spec.name: spec for spec in self.inputs}

    def input_types_dict(self) -> dict[Any, Any]:
        return {name: spec.type for name, spec in self.input_dict().items()}

    def numpy_types(self) -> list[Any]:
        return [
            spec.type if isinstance(spec, TensorSpec) else _scalar(spec).to_numpy() for spec in self.inputs
        ]

    def pandas_types(self) -> list[Any]:
        return [_scalar(spec).to_pandas() for spec in self.inputs]

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    def to_dict(self) -> list[dict[str, Any]]:
        return [spec.to_dict() for spec in self.inputs]

    @classmethod
    def from_json(cls, json_str: str) -> "Schema":
        """Read the JSON text that `to_json` and MLflow write.

        Raises:
            InvalidParameterError: the text is no JSON list of column or tensor objects.
        """
        specs = _json_objects(json_str, "Schema")
        return cls(
            [
                TensorSpec.from_json_dict(**spec)
                if spec.get("type") == "tensor"
                else ColSpec.from_json_dict(**spec)
                for spec in specs
            ]
        )

    def __len__(self) -> int:
        return len(self.inputs)

    def __iter__(self) -> Iterator[ColSpec | TensorSpec]:
        return iter(self.inputs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __repr__(self) -> str:
        return repr(self.inputs)


def _scalar(spec: ColSpec | TensorSpec) -> DataType:
    if not isinstance(spec, ColSpec) or not isinstance(spec.type, DataType):
        raise InvalidParameterError(f"Input {spec!r} is not a column of a scalar type")
    return spec.type


def _json_objects(text: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(text, str):  # an MLmodel file may hold anything
        raise InvalidParameterError(f"{what} must be a JSON text, got {_shown(text)}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidParameterError(f"{what} is not valid JSON: {error}; got {text[:100]!r}") from error
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in cast("list[Any]", value)):
        raise InvalidParameterError(f"{what} JSON must be a list of objects, got {text[:100]!r}")
    return cast("list[dict[str, Any]]", value)


def _shown(value: object) -> str:
    return f"{type(value).__name__} {ascii(value)[:100]}"


class ParamSpec:
    """The name, type, default and shape of an inference param."""

    def __init__(
        self,
        name: str,
        dtype: DataType | Object | str,
        default: Any,
        shape: Sequence[int] | None = None,
    ) -> None:
        from slipstream.models.param_values import check_param

        self.name = str(name)
        if shape is not None and not isinstance(shape, (list, tuple)):
            raise InvalidParameterError(
                f"The shape of param '{name}' must be (-1,) for a list or None, got {_shown(shape)}"
            )
        self.shape = None if shape is None else tuple(shape)
        resolved = _to_type(dtype, f"param '{name}'")
        if not isinstance(resolved, (DataType, Object)) or resolved is DataType.binary:
            raise InvalidParameterError(
                f"Param '{name}' has type {resolved!r}; a param is a scalar other than binary, a list of "
                "scalars (shape=(-1,)) or an Object"
            )
        self.dtype: DataType | Object = resolved
        self.default: Any = check_param(default, self)

    def to_dict(self) -> dict[str, Any]:
        default = self.default
        if self.dtype is DataType.datetime and default is not None:
            default = default.isoformat() if self.shape is None else [item.isoformat() for item in default]
        return {"name": self.name, "default": default, "shape": self.shape, **_type_to_dict(self.dtype)}

    @classmethod
    def from_json_dict(cls, /, **kwargs: Any) -> "ParamSpec":
        kind = kwargs.get("type") or kwargs.get("dtype")  # MLflow 2.6 wrote `dtype`
        if kind is None or not {"name", "default"} <= kwargs.keys():
            raise InvalidParameterError(
                f"ParamSpec JSON needs the keys 'name', 'type' and 'default', got {sorted(kwargs)}"
            )
        dtype = _type_from_dict({**kwargs, "type": kind}, f"param '{kwargs['name']}'")
        return cls(kwargs["name"], cast("DataType", dtype), kwargs["default"], kwargs.get("shape"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamSpec) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict()))

    def __repr__(self) -> str:
        shape = "" if self.shape is None else f" (shape: {self.shape})"
        return f"{self.name!r}: {self.dtype!r} (default: {self.default}){shape}"


class ParamSchema:
    """The params that a model takes at inference."""

    def __init__(self, params: list[ParamSpec]) -> None:
        if not all(isinstance(param, ParamSpec) for param in params):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidParameterError(f"A ParamSchema takes a list of ParamSpec, got {params!r}")
        names = [param.name for param in params]
        if duplicates := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidParameterError(f"Duplicated parameters found in schema: {duplicates}")
        self.params = params

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    def to_dict(self) -> list[dict[str, Any]]:
        return [param.to_dict() for param in self.params]

    @classmethod
    def from_json(cls, json_str: str) -> "ParamSchema":
        return cls([ParamSpec.from_json_dict(**spec) for spec in _json_objects(json_str, "ParamSchema")])

    def __len__(self) -> int:
        return len(self.params)

    def __iter__(self) -> Iterator[ParamSpec]:
        return iter(self.params)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamSchema) and self.params == other.params

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __repr__(self) -> str:
        return repr(self.params)
