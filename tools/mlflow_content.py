"""Read everything from a tracking address with the real MLflow client, and compare two addresses one by one.

    python tools/mlflow_content.py URI > content.json
    python tools/mlflow_content.py URI OTHER_URI

Run it with an interpreter that has MLflow 2 or 3; slipstream is not imported. The second form prints what differs and
how much was compared; its exit status is 1 if anything does.
"""

import json
import os
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_ALLOW_FILE_STORE"):
    os.environ[name] = "true"
warnings.filterwarnings("ignore")

LARGEST = 1.7976931348623157e308


def read(uri: str) -> dict[str, Any]:
    """Return all that the client tells, as plain JSON; numbers that JSON has not, and all floats, as texts."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiments = {each.experiment_id: each for each in _experiments(client)}
    content: dict[str, Any] = {
        "experiments": {},
        "runs": {},
        "logged models": {},
        "registered models": {},
        "versions": {},
    }
    for each in experiments.values():
        content["experiments"][each.name] = {
            "location": each.artifact_location,
            "stage": each.lifecycle_stage,
            "created": each.creation_time,
            "updated": each.last_update_time,
            "tags": dict(each.tags),
        }
    for run in _runs(client, list(experiments)):
        content["runs"][run.info.run_id] = _run(client, run, experiments[run.info.experiment_id].name)
    for model in _logged_models(client, list(experiments)):
        content["logged models"][model.model_id] = _logged_model(model, experiments[model.experiment_id].name)
    try:
        registered = list(
            _pages(lambda token: client.search_registered_models(max_results=100, page_token=token))
        )
    except MlflowException as error:
        if "not supported" not in str(error):  # by folders, before 2.2
            raise
        return content
    for model in registered:
        content["registered models"][model.name] = {
            "created": model.creation_timestamp,
            "updated": model.last_updated_timestamp,
            "description": model.description or "",
            "tags": dict(model.tags or {}),
            "aliases": {
                alias: str(version) for alias, version in (getattr(model, "aliases", None) or {}).items()
            },
        }
    for version in client.search_model_versions(""):
        one = client.get_model_version(version.name, version.version)
        content["versions"][f"{one.name} {one.version}"] = {
            "created": one.creation_timestamp,
            "updated": one.last_updated_timestamp,
            "stage": one.current_stage,
            "description": one.description or "",
            "source": one.source,
            "run": one.run_id or "",
            "link": one.run_link or "",
            "status": one.status,
            "tags": dict(one.tags or {}),
            "aliases": sorted(getattr(one, "aliases", None) or []),
            "download": client.get_model_version_download_uri(one.name, one.version),
        }
    return content


def _run(client: Any, run: Any, experiment: str) -> dict[str, Any]:
    info = run.info
    inputs = getattr(run, "inputs", None)
    outputs = getattr(run, "outputs", None)
    return {
        "experiment": experiment,
        "name": getattr(info, "run_name", "") or "",
        "user": info.user_id,
        "status": info.status,
        "start": info.start_time,
        "end": info.end_time,
        "stage": info.lifecycle_stage,
        "artifacts": info.artifact_uri,
        "params": dict(run.data.params),
        "tags": dict(run.data.tags),
        "metrics": {key: number(value) for key, value in run.data.metrics.items()},
        "histories": {
            key: sorted(
                [point.timestamp, point.step, number(point.value)]
                for point in client.get_metric_history(info.run_id, key)
            )
            for key in run.data.metrics
        },
        "datasets": sorted((_dataset(each) for each in (inputs.dataset_inputs if inputs else [])), key=str),
        "models read": sorted(each.model_id for each in getattr(inputs, "model_inputs", None) or []),
        "models made": sorted(
            [each.model_id, each.step] for each in getattr(outputs, "model_outputs", None) or []
        ),
    }


def _dataset(each: Any) -> list[Any]:
    fields = [
        getattr(each.dataset, name)
        for name in ("name", "digest", "source_type", "source", "schema", "profile")
    ]
    return [*fields, sorted([tag.key, tag.value] for tag in each.tags)]


def _logged_model(model: Any, experiment: str) -> dict[str, Any]:
    return {
        "experiment": experiment,
        "name": model.name,
        "location": model.artifact_location,
        "created": model.creation_timestamp,
        "updated": model.last_updated_timestamp,
        "type": model.model_type or "",
        "run": model.source_run_id or "",
        "status": str(model.status),
        "tags": dict(model.tags),
        "params": dict(model.params),
        "metrics": sorted(
            [
                each.key,
                number(each.value),
                each.timestamp,
                each.step,
                each.run_id,
                each.dataset_name,
                each.dataset_digest,
            ]
            for each in model.metrics or []
        ),
    }


def number(value: float) -> str:
    """Return a float to its last digit. MLflow's databases and wire keep infinities as the largest number."""
    value = max(-LARGEST, min(LARGEST, value)) if value == value else value  # noqa: PLR0124  # NaN
    return repr(value + 0.0)


def _experiments(client: Any) -> Iterator[Any]:
    from mlflow.entities import ViewType

    yield from _pages(
        lambda token: client.search_experiments(ViewType.ALL, max_results=1000, page_token=token)
    )


def _runs(client: Any, experiments: list[str]) -> Iterator[Any]:
    from mlflow.entities import ViewType

    yield from _pages(
        lambda token: client.search_runs(
            experiments, run_view_type=ViewType.ALL, max_results=1000, page_token=token
        )
    )


def _logged_models(client: Any, experiments: list[str]) -> Iterator[Any]:
    if hasattr(client, "search_logged_models"):
        yield from _pages(
            lambda token: client.search_logged_models(experiments, max_results=100, page_token=token)
        )


def _pages(ask: Any) -> Iterator[Any]:
    token = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Yield what is not alike."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if key not in one or key not in other:
                yield f"{where}/{key}: only in the {'second' if key in other else 'first'}"
            else:
                yield from differences(one[key], other[key], f"{where}/{key}")
    elif one != other:
        yield f"{where}: {str(one)[:200]!r} and {str(other)[:200]!r}"


def count(content: Any) -> int:
    """Return how many values there are."""
    if isinstance(content, dict):
        return sum(count(each) for each in content.values())
    if isinstance(content, list):
        return sum(count(each) for each in content)
    return 1


def main() -> int:
    """Do what the arguments say."""
    began = time.monotonic()
    first = json.loads(json.dumps(read(sys.argv[1])))
    if len(sys.argv) < 3:
        print(json.dumps(first, indent=1, sort_keys=True, ensure_ascii=False))
        return 0
    middle = time.monotonic()
    second = json.loads(json.dumps(read(sys.argv[2])))
    found = list(differences(first, second))
    for line in found[:50]:
        print(line)
    print(
        f"{count(first):,} values of {len(first['runs']):,} runs compared, {len(found)} differences; read in "
        f"{middle - began:.1f} s and {time.monotonic() - middle:.1f} s"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
