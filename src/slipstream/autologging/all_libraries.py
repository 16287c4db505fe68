"""`slipstream.autolog`: all libraries at once."""

from collections.abc import Mapping, Sequence

from slipstream.autologging import integrations


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    log_traces: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    extra_tags: Mapping[str, str] | None = None,
    exclude_flavors: Sequence[str] | None = None,
) -> None:
    """Log each training with a library that is known here, from now on (docs/how-to/autologging.md).

    Libraries are watched when the program imports them; none is imported for it. What a library's own function says
    (`slipstream.sklearn.autolog`) holds against this one. Arguments as there, and:

    Args:
        log_input_examples: Log the first rows with models.
        log_model_signatures: Log what goes into models and what comes out.
        log_models: Log models.
        log_datasets: Record data as inputs of the runs.
        log_traces: Accepted for MLflow's sake; there are no traces.
        disable: Turn all off that the library's own function did not set.
        exclusive: Leave runs alone that were started by hand.
        disable_for_unsupported_versions: Do nothing with versions that this was not tested with.
        silent: Do not warn of what could not be logged.
        extra_tags: Tags of the runs that are started.
        exclude_flavors: Libraries to leave as they are, such as `["keras"]`.
    """
    integrations.set_all(locals(), exclude_flavors or ())
