"""`slipstream doctor`: one line a check, with the way out where something is wrong."""

from typing import Any

import click
import msgspec

from slipstream.cli import out


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as a JSON array.")
@click.argument("uri", required=False)
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, uri: str | None) -> None:
    """Check this environment, and the server or database that URI names: by default the one that runs are tracked to.

    Exit code 1 if there is an error; warnings and notes do not count. Nothing is changed, and no secret is printed.
    """
    from slipstream.cli.doctor_checks import examine

    findings = [finding.without_secrets() for finding in examine(uri)]
    if as_json:
        plain: list[dict[str, Any]] = [msgspec.to_builtins(finding) for finding in findings]
        out.document(plain)
    else:
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            way_out = f" {finding.way_out}" if finding.way_out else ""
            out.line(f"{finding.state:<7}  {finding.check:<{width}}  {finding.found}{way_out}")
    if any(finding.state == "error" for finding in findings):
        ctx.exit(1)
