"""Write docs/reference/settings.md from slipstream/settings.py. With `--check`: only tell whether it is current."""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from slipstream import settings
from slipstream.cli.main import main as program

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "settings.md"
HEAD = """\
# Settings

<!-- Made by tools/make_settings_page.py from src/slipstream/settings.py; do not edit. -->

Environment variables that slipstream reads, each time it needs the value. Where MLflow has one of the same
meaning, its name works too; when both are set, slipstream's wins.
"""


def sections() -> list[tuple[str, list[str]]]:
    """Return (title, setting names) in the order of the source, which groups them under `# -- title --`."""
    found: list[tuple[str, list[str]]] = []
    for line in inspect.getsource(settings).splitlines():
        title = re.match(r"# -- (.+?) -{3,}$", line)
        name = re.match(r"([A-Z][A-Z0-9_]+)(?:: [^=]+)? = _setting\(", line)
        if title:
            found.append((title[1].capitalize(), []))
        elif name:
            found[-1][1].append(f"SLIPSTREAM_{name[1]}")
    return found


def row(setting: settings.Setting[object]) -> str:
    """Return one table row."""
    alias = f"`{setting.mlflow_name}`" if setting.mlflow_name else "–"
    value = ", ".join(setting.default) if isinstance(setting.default, tuple) else setting.default
    default = "–" if value is None else f"`{str(value).lower()}`"
    description = setting.description.replace("|", "\\|")
    return f"| `{setting.name}` | {alias} | {default} | {description} |"


def options(command: click.Command, name: str) -> Iterator[tuple[str, str, click.Option]]:
    """Yield (command, variables, option) for each option of the command line that a variable can give."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and child != "ui":  # the same as server
                yield from options(found, f"{name} {child}")
        return
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.envvar:
            names = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar
            yield name, ", ".join(f"`{each}`" for each in names), parameter


def options_table() -> str:
    """Return the section about variables that stand for options."""
    rows = [
        f"| {names} | `{command.strip()}` | `{max(option.opts, key=len)}` |"
        for command, names, option in options(program, "")
    ]
    return "\n".join(
        [
            "## Options of commands\n",
            "An option that is not on the command line is taken from its variable; of several the first that is set.\n",
            "| Variables | Command | Option |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def page() -> str:
    """Return the whole page.

    Raises:
        SystemExit: a setting of the table was not found in the source, so the page would lack it.
    """
    parts = [HEAD]
    listed: set[str] = set()
    for title, names in sections():
        rows = [row(settings.ALL[name]) for name in names]
        table = "\n".join(["| Variable | MLflow's name | Default | Meaning |", "|---|---|---|---|", *rows])
        parts.append(f"## {title}\n\n{table}\n")
        listed.update(names)
    if missing := sorted(settings.ALL.keys() - listed):
        sys.exit(f"Not found in the source of settings.py: {missing}")
    parts.append(options_table())
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    text = page()
    if "--check" in arguments:
        if PAGE.read_text("utf-8") != text:
            print(f"{PAGE} is not current: run python tools/make_settings_page.py")
            return 1
        return 0
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
