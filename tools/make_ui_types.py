"""Write `ui/src/api/schema.d.ts`: the messages of the REST API as types of TypeScript, from the OpenAPI document.

    python tools/make_ui_types.py            # write
    python tools/make_ui_types.py --check    # fail if what is there is another

A field that an answer may leave out is optional. Only what the document's schemas use is understood.
"""

import json
import sys
from pathlib import Path
from typing import Any

from slipstream.server.openapi import openapi_document

TARGET = Path(__file__).parent.parent / "ui" / "src" / "api" / "schema.d.ts"
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def types_text() -> str:
    """Return the file's text."""
    schemas: dict[str, Any] = json.loads(openapi_document(""))["components"]["schemas"]
    parts = [
        "// Made by tools/make_ui_types.py from the server's OpenAPI document. Do not change it by hand.\n"
    ]
    for name, schema in sorted(schemas.items()):
        parts.append(_comment(schema, "") + f"export type {name} = {_type(schema, '')};\n")
    return "\n".join(parts)


def _type(schema: dict[str, Any], indent: str) -> str:
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each, indent) for each in schema["anyOf"]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(dict.fromkeys(_type({**schema, "type": each}, indent) for each in kind))
    if kind == "array":
        if "prefixItems" in schema:
            return "[" + ", ".join(_type(each, indent) for each in schema["prefixItems"]) + "]"
        inner = _type(schema.get("items", {}), indent)
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if kind == "object":
        return _object(schema, indent)
    return _PLAIN.get(kind or "", "unknown")


def _object(schema: dict[str, Any], indent: str) -> str:
    fields: dict[str, Any] = schema.get("properties", {})
    if not fields:
        values = schema.get("additionalProperties")
        return f"Record<string, {_type(values, indent) if isinstance(values, dict) else 'unknown'}>"
    required = set(schema.get("required", []))
    deeper = indent + "  "
    lines = [
        f"{_comment(field, deeper)}{deeper}{name}{'' if name in required else '?'}: {_type(field, deeper)};\n"
        for name, field in fields.items()
    ]
    return "{\n" + "".join(lines) + indent + "}"


def _comment(schema: dict[str, Any], indent: str) -> str:
    text = " ".join(str(schema.get("description", "")).split())
    return f"{indent}/** {text.replace('*/', '* /')} */\n" if text else ""


def main() -> int:
    text = types_text()
    if "--check" in sys.argv:
        return 0 if TARGET.read_text(encoding="utf-8") == text else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
