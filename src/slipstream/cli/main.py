"""The command `slipstream`. Each group of commands is loaded only when it is named."""

import errno
import importlib
import os
from pathlib import Path

import click

from slipstream import __version__
from slipstream.cli import out
from slipstream.errors import SlipstreamError

INTERRUPTED = 130

COMMANDS = {
    "artifacts": ("slipstream.cli.artifacts:artifacts", "List, download and upload files of runs."),
    "db": ("slipstream.cli.db:db", "Look at, upgrade, check and copy the server's database."),
    "demo": ("slipstream.cli.demo:demo", "Train, register, serve and check a model of real data."),
    "deployments": ("slipstream.cli.deployments:deployments", "Deploy models to other engines."),
    "doctor": ("slipstream.cli.doctor:doctor", "Check this environment, the server and its data."),
    "envs": ("slipstream.cli.envs:envs", "List and remove the environments of projects and models."),
    "exec": ("slipstream.cli.exec:exec_", "Run a script with slipstream in the place of mlflow."),
    "experiments": ("slipstream.cli.experiments:experiments", "Manage experiments."),
    "gc": ("slipstream.cli.gc:gc", "Remove for ever what was deleted."),
    "export": ("slipstream.cli.exporting:export", "Write everything into plain files."),
    "import": ("slipstream.cli.importing:import_", "Take everything from MLflow or another store."),
    "models": ("slipstream.cli.models:models", "Serve models and predict with them."),
    "relay": ("slipstream.cli.relay:relay", "Keep what MLflow clients log until the server has it."),
    "run": ("slipstream.cli.run:run", "Run a project."),
    "runs": ("slipstream.cli.runs:runs", "Manage runs."),
    "server": ("slipstream.cli.server:server", "Start the tracking server with its web pages."),
    "sync": ("slipstream.cli.sync:sync", "Send what programs logged and did not deliver."),
    "trash": ("slipstream.cli.trash:trash", "List what was deleted, and take it back."),
    "sql": ("slipstream.cli.sql:sql", "Query what is tracked with SQL, read-only."),
    "ui": ("slipstream.cli.server:server", "The same as server."),
}
"""Where each command is, and its line in the help text."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; our errors and the system's become one line and exit code 1, Ctrl-C becomes 130."""
        try:
            return super().invoke(ctx)
        except SlipstreamError as error:
            out.error(str(error))
            ctx.exit(1)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of a pipe has gone; click ends quietly
                raise
            # What the system refuses is the user's to mend, not a bug: a full disk, a folder without rights.
            out.error(_system_refusal(error))
            ctx.exit(1)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


def _system_refusal(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {reason}"
    return (
        reason
        if _folder_exists()
        else f"{reason}. The working folder was deleted; change to one that exists."
    )


def _folder_exists() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["--help"]})
@click.version_option(__version__, prog_name="slipstream", message="%(prog)s, version %(version)s")
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of environment variables (NAME=value lines); those already set stay.",
)
def main(env_file: Path | None) -> None:
    """Track, package, register and serve machine-learning models.

    The commands speak to the server or database that SLIPSTREAM_TRACKING_URI (or MLFLOW_TRACKING_URI) names;
    by default that is sqlite:///slipstream.db in the current folder.
    """
    if env_file is not None:
        from slipstream.cli.env_file import load_env_file

        load_env_file(env_file)
