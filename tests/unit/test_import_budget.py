"""What `import slipstream` and the first call may load."""

import json
import subprocess
import sys

LIST_NEW_MODULES = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
# Loaded only by those who use what needs them.
NEVER_WITH_FLUENT = {
    "apsw", "asyncio", "click", "http.client", "httptools", "matplotlib", "numpy", "pandas", "PIL", "polars",
    "psycopg", "requests", "sklearn", "ssl", "starlette", "tqdm", "urllib3", "uvicorn", "yaml",
}  # fmt: skip


def new_modules(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-c", LIST_NEW_MODULES.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_import_loads_nothing_else() -> None:
    assert new_modules("import slipstream") == {"slipstream"}


def test_all_fluent_names_load_no_heavy_library() -> None:
    loaded = new_modules(
        "import slipstream.client.fluent, slipstream.artifacts, slipstream.data, slipstream.tracking"
    )

    assert loaded & NEVER_WITH_FLUENT == set()


def test_a_client_of_a_server_loads_no_sql() -> None:
    loaded = new_modules("import slipstream.client.rest, slipstream.client.transport")

    contract = {"slipstream.store.base", "slipstream.store.base_pages"}
    assert {name for name in loaded if name.startswith("slipstream.store.")} == contract
    assert not any(
        name.startswith(("slipstream.db", "slipstream.search", "slipstream.server")) for name in loaded
    )


def test_settings_and_addresses_load_no_entities() -> None:
    assert not any(
        name.startswith("msgspec") for name in new_modules("import slipstream; slipstream.set_tracking_uri")
    )


def test_command_line_loads_no_command_to_show_help() -> None:
    loaded = new_modules(
        "from click.testing import CliRunner; from slipstream.cli.main import main; CliRunner().invoke(main, ['--help'])"
    )

    assert {name for name in loaded if name.startswith("slipstream.cli.")} == {
        "slipstream.cli.main",
        "slipstream.cli.out",
    }
    assert not any(name.startswith(("slipstream.client", "slipstream.server", "msgspec")) for name in loaded)
