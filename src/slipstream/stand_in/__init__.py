"""slipstream in the place of the module `mlflow`, for libraries that import it themselves.

`finder.py` answers the imports, `places.py` says which module of ours answers for which of MLflow's, and the other
files hold the few names that only such libraries ask for. `site/` carries it into the children of `slipstream exec`.
"""

from pathlib import Path

SITE_FOLDER = Path(__file__).parent / "site"
"""On PYTHONPATH it makes every Python that starts call `as_mlflow`."""


def as_mlflow() -> None:
    """Let `import mlflow`, and all imports below it, give slipstream in this process; a second call changes nothing.

    Call it before anything imports mlflow. A real mlflow that is installed is neither loaded nor asked. Nothing is
    imported until it is used, so the call costs next to nothing.

    Raises:
        InvalidStateError: the real mlflow has been imported already, and others may hold its functions.
    """
    from slipstream.stand_in import finder

    finder.install()
