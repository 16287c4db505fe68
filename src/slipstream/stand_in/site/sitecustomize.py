"""Runs when a Python starts with this folder on PYTHONPATH: the children of `slipstream exec` get the stand-in, too.

A sitecustomize of the machine's or the user's, which this one hides, is run afterwards. A Python that has no
slipstream is left as it is.
"""

import importlib.util
import sys
from pathlib import Path


def _stand_in() -> None:
    if importlib.util.find_spec("slipstream") is None:
        return
    from slipstream.stand_in import as_mlflow

    as_mlflow()


def _run_hidden() -> None:
    """Find the next sitecustomize behind this folder and run it as if this one were not there."""
    from importlib.machinery import PathFinder

    here = Path(__file__).resolve().parent
    others = [each for each in sys.path if Path(each).resolve() != here]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_stand_in()
_run_hidden()
