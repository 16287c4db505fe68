"""Write what the real MLflow logs by itself for the trainings of tests/autologging/scenarios.py.

Run it with a Python that has mlflow and the libraries, never slipstream:

    python tools/expect_autologging.py [SCENARIO ...]

Each scenario runs in a process of its own. What it logged goes to tests/autologging/expected/SCENARIO.json, which the
tests compare with what slipstream logs.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "autologging"))


def observe(name: str, module: str, folder: Path) -> dict[str, object]:
    """Train one scenario under a module, and return what it logged and with which versions."""
    import collecting
    import scenarios

    os.environ["MPLBACKEND"] = "agg"
    os.environ["KERAS_BACKEND"] = "torch"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.chdir(folder)
    library = importlib.import_module(module)
    if module == "mlflow":
        # It would load every model in another process to see what that imports: half a minute each, and not compared.
        library.models.infer_pip_requirements = lambda *_args, fallback=None, **_kwargs: fallback or []
    library.set_tracking_uri(f"sqlite:///{folder / 'tracking.db'}")
    experiment_id = library.create_experiment("autolog", artifact_location=(folder / "files").as_uri())
    library.set_experiment(experiment_id=experiment_id)
    function, needed = scenarios.SCENARIOS[name]
    function(library)
    found = collecting.collect(library, experiment_id)
    return {
        "versions": {each: str(getattr(importlib.import_module(each), "__version__", "")) for each in needed},
        **found,
    }


def main() -> int:
    import scenarios

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenario", nargs="*")
    parser.add_argument("--module", default="mlflow", help="mlflow, or slipstream to look at ours")
    parser.add_argument("--to", type=Path, default=ROOT / "tests" / "autologging" / "expected")
    parser.add_argument("--here", action="store_true", help="run one scenario in this process")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in options.scenario or scenarios.SCENARIOS:
        if options.here:
            with tempfile.TemporaryDirectory() as folder:
                document = observe(name, options.module, Path(folder))
            text = json.dumps(document, indent=1, sort_keys=True, allow_nan=True)
            (options.to / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        else:
            done = subprocess.run(
                [
                    sys.executable,
                    __file__,
                    "--here",
                    "--module",
                    options.module,
                    "--to",
                    str(options.to),
                    name,
                ],
                check=False,
                capture_output=True,
                text=True,
            )
            print(f"{name}: {'ok' if done.returncode == 0 else 'FAILED'}")
            if done.returncode != 0:
                print(done.stderr[-1500:])
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
