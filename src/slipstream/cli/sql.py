"""`slipstream sql`."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from slipstream.cli import out
from slipstream.cli.options import format_option, output_option


@click.command()
@click.argument("query", required=False)
@click.option("--tables", is_flag=True, help="List the tables and their columns instead.")
@click.option(
    "--run", "run_ids", multiple=True, metavar="ID", help="See this run only; may be given several times."
)
@click.option(
    "--experiment", "experiment_ids", multiple=True, metavar="ID", help="See this experiment's only."
)
@click.option("--key", "keys", multiple=True, help="See this metric only, or a pattern such as 'val/*'.")
@click.option("--max-rows", type=int, help="Most rows of the answer; more is an error.")
@format_option(("table", "json", "csv", "arrow", "parquet"), None)
@output_option
def sql(
    query: str | None,
    tables: bool,
    run_ids: tuple[str, ...],
    experiment_ids: tuple[str, ...],
    keys: tuple[str, ...],
    max_rows: int | None,
    form: str | None,
    output: Path | None,
) -> None:
    """Answer one SELECT over experiments, runs, metrics, models and versions.

    QUERY is in DuckDB's dialect; `-` reads it from stdin. It reads, and changes nothing. Without --format, a table
    on a terminal and CSV elsewhere.
    """
    if tables:
        _list_tables()
        return
    if not query:
        raise click.UsageError("Give a query, such as 'select * from runs', or --tables.")
    from slipstream.bulk.formats import Format
    from slipstream.client.sql import read_sql, to_filter

    text = sys.stdin.read() if query == "-" else query
    form = form or ("table" if output is None and sys.stdout.isatty() else "csv")
    asked = Format.JSON if form == "table" else Format(form)
    chunks = read_sql(text, asked, to_filter(run_ids or None, experiment_ids or None, keys or None), max_rows)
    if form != "table":
        out.save(chunks, output, binary=form in ("arrow", "parquet"))
        return
    if output is not None:
        raise click.UsageError("A table is for terminals: choose another --format for a file.")
    answer = json.loads(b"".join(chunks))
    rows = [[_cell(value) for value in row] for row in answer["rows"]]
    out.table(rows, [column["name"] for column in answer["columns"]])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _list_tables() -> None:
    from slipstream.bulk.tables import TABLES

    rows = [
        (name, column.name, column.kind, column.about)
        for name, table in TABLES.items()
        for column in table.columns
    ]
    out.table(rows, ["Table", "Column", "Type", "Meaning"])
