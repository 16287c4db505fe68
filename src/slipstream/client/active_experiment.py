"""The fluent API's experiments, and the one that new runs go to."""

import contextlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from slipstream import settings
from slipstream.client import addresses
from slipstream.client.client import SlipstreamClient
from slipstream.client.paging import collect
from slipstream.client.values import require_text
from slipstream.entities import Experiment, LifecycleStage, ViewType
from slipstream.errors import AlreadyExistsError, InvalidParameterError, NotFoundError

_log = logging.getLogger(__name__)
NAMED = "named:"
"""What an experiment's id begins with while only its name is known, since the server was away."""
_PAGE = 1000
_DEFAULT_ID = "0"

_active: tuple[str, str] | None = None
"""Tracking URI and id: an experiment's number means nothing on another server."""
_lock = threading.Lock()


def set_experiment(
    experiment_name: str | None = None, experiment_id: str | None = None, trace_location: None = None
) -> Experiment:
    """Make an experiment the one that new runs of this process and its children go to.

    A name that is new is created; two processes may do so at the same time.

    Raises:
        InvalidParameterError: not exactly one of name and id is given, the experiment is deleted, or
            `trace_location` is given, which works on Databricks only.
        NotFoundError: there is no experiment of this id.
    """
    global _active
    _refuse_trace_location(trace_location)
    if (experiment_name is None) == (experiment_id is None):
        raise InvalidParameterError("Must specify exactly one of: `experiment_id` or `experiment_name`.")
    client = SlipstreamClient()
    with _lock:
        if experiment_name is not None:
            experiment = _find_or_create(client, require_text(experiment_name, "experiment_name"))
        else:
            experiment = client.get_experiment(str(experiment_id))
        if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
            raise InvalidParameterError(
                f"Cannot set a deleted experiment '{experiment.name}' as the active experiment. "
                f"Restore it (restore_experiment('{experiment.experiment_id}')) or choose another name."
            )
        _active = (client.tracking_uri, experiment.experiment_id)
    os.environ[settings.EXPERIMENT_ID.name] = experiment.experiment_id  # for child processes
    return experiment


def _find_or_create(client: SlipstreamClient, name: str) -> Experiment:
    choose = getattr(client.connection.store, "choose_experiment", None)
    if choose is not None:  # a server that need not answer now
        return choose(name)
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found
    _log.info("Experiment '%s' does not exist; creating it.", name)
    with contextlib.suppress(AlreadyExistsError):  # another process was faster
        return client.get_experiment(client.create_experiment(name))
    found = client.get_experiment_by_name(name)
    if found is None:
        raise NotFoundError(f"Experiment '{name}' was deleted for good while it was being set. Try again.")
    return found


def _refuse_trace_location(trace_location: object) -> None:
    if trace_location is not None:
        raise InvalidParameterError("'trace_location' works on Databricks only; leave it out.")


def active_experiment_id() -> str | None:
    """Return the id given to `set_experiment`, if it was for the current tracking URI."""
    global _active
    if _active is None:
        return None
    uri, experiment_id = _active
    if uri != addresses.get_tracking_uri():
        return None
    if experiment_id.startswith(NAMED):  # chosen while the server was away: it may know the name by now
        found = _find_or_create(SlipstreamClient(), experiment_id.removeprefix(NAMED)).experiment_id
        if found != experiment_id:
            _active = (uri, found)
            os.environ[settings.EXPERIMENT_ID.name] = found
        return found
    return experiment_id


def current_experiment_id() -> str:
    """Return where a new run goes: `set_experiment`, else the environment, else experiment 0.

    Raises:
        InvalidParameterError: the environment names an experiment that does not exist.
    """
    chosen = active_experiment_id()
    if chosen is not None:
        return chosen
    client = SlipstreamClient()
    # After a change of the tracking URI, what set_experiment left in the environment means nothing.
    number = settings.EXPERIMENT_ID.get() if _active is None else None
    if name := settings.EXPERIMENT_NAME.get():
        found = _find_or_create(client, name).experiment_id
        if number and number != found:
            raise InvalidParameterError(
                f"{settings.EXPERIMENT_ID.name}={number} is not the experiment of "
                f"{settings.EXPERIMENT_NAME.name}='{name}', which has the id {found}. Unset one of them."
            )
        return found
    if number:
        try:
            return client.get_experiment(number).experiment_id
        except NotFoundError as error:
            raise InvalidParameterError(
                f"{settings.EXPERIMENT_ID.name}={number} does not exist on {client.tracking_uri}. "
                "Set the id of an experiment there, or unset it."
            ) from error
    return _DEFAULT_ID


def create_experiment(
    name: str,
    artifact_location: str | None = None,
    tags: Mapping[str, Any] | None = None,
    trace_location: None = None,
) -> str:
    """Create an experiment, without making it the active one, and return its id."""
    _refuse_trace_location(trace_location)
    return SlipstreamClient().create_experiment(name, artifact_location, tags)


def get_experiment(experiment_id: str) -> Experiment:
    return SlipstreamClient().get_experiment(experiment_id)


def get_experiment_by_name(name: str) -> Experiment | None:
    return SlipstreamClient().get_experiment_by_name(name)


def search_experiments(
    view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: Sequence[str] | None = None,
) -> list[Experiment]:
    """Return all experiments that fit, or at most `max_results`, whatever the server's page size."""
    client = SlipstreamClient()
    return collect(
        lambda size, token: client.search_experiments(view_type, size, filter_string, order_by, token),
        _PAGE,
        max_results,
    )


def delete_experiment(experiment_id: str) -> None:
    SlipstreamClient().delete_experiment(experiment_id)


def restore_experiment(experiment_id: str) -> None:
    SlipstreamClient().restore_experiment(experiment_id)


def set_experiment_tag(key: str, value: Any) -> None:
    """Tag the experiment that new runs go to."""
    SlipstreamClient().set_experiment_tag(current_experiment_id(), key, value)


def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    for key, value in tags.items():
        set_experiment_tag(key, value)


def delete_experiment_tag(key: str) -> None:
    SlipstreamClient().delete_experiment_tag(current_experiment_id(), key)
