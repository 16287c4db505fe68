"""`slipstream exec`: run a program whose `import mlflow`, and that of its libraries, gives slipstream."""

import os
import sys
from pathlib import Path

import click

PYTHON_PATH = "PYTHONPATH"


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
)
@click.argument(
    "program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="(SCRIPT | -m MODULE) [ARGS]..."
)
def exec_(program: tuple[str, ...]) -> None:
    """Run SCRIPT, or with -m a module, with slipstream in the place of mlflow.

    Everything after it goes to the program. `import mlflow`, in the program, in the libraries that it uses and in the
    Pythons that it starts, gives slipstream, whether or not an mlflow is installed.
    """
    if program[0] == "-m" and len(program) == 1:
        raise click.UsageError("-m needs the name of a module.")
    if program[0] != "-m":
        if program[0].startswith("-"):
            raise click.UsageError(f"No such option: {program[0]}. Options of the program go after its name.")
        if not Path(program[0]).exists():
            raise click.UsageError(
                f"There is no file '{program[0]}'. For a module, use: slipstream exec -m MODULE"
            )
    from slipstream import settings
    from slipstream.client.addresses import get_tracking_uri
    from slipstream.stand_in import SITE_FOLDER

    inherited = os.environ.get(PYTHON_PATH)
    environment = {
        **os.environ,
        # Where libraries look for an address themselves, and take a folder of their own if there is none.
        str(settings.TRACKING_URI.mlflow_name): get_tracking_uri(),
        PYTHON_PATH: os.pathsep.join([str(SITE_FOLDER), *([inherited] if inherited else [])]),
    }
    command = [sys.executable, *program]
    if os.name == "nt":  # there a replaced process would look ended to the shell
        import subprocess

        sys.exit(subprocess.run(command, env=environment, check=False).returncode)
    os.execve(sys.executable, command, environment)  # noqa: S606  # no shell: the same process goes on as the program
