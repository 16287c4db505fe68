"""`slipstream models serve`: answer requests with one model or several."""

from pathlib import Path

import click

from slipstream import settings
from slipstream.cli import out
from slipstream.cli.model_options import LOCAL, env_manager_option, trust_option

_MEGABYTE = 1 << 20


@click.command()
@click.option(
    "--model-uri",
    "-m",
    "model_uris",
    required=True,
    multiple=True,
    metavar="URI",
    help="Model to serve: models:/NAME@ALIAS, models:/NAME/VERSION, runs:/RUN_ID/NAME, a path or another URI; "
    "NAME=URI chooses the name it is served by. May be given several times.",
)
@click.option(
    "--port",
    "-p",
    type=click.IntRange(0, 65535),
    envvar=["SLIPSTREAM_PORT", "MLFLOW_PORT"],
    default=5000,
    show_default=True,
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--host",
    "-h",
    envvar=["SLIPSTREAM_HOST", "MLFLOW_HOST"],
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. Beyond this machine --auth must be given.",
)
@click.option(
    "--timeout",
    "-t",
    type=click.FloatRange(min=0),
    default=None,
    help="Seconds that an answer, or the next piece of a streamed one, may take before 504; 0 means for ever.  [default: 60]",
)
@click.option(
    "--workers",
    "-w",
    type=click.IntRange(min=1),
    envvar=["SLIPSTREAM_MODELS_WORKERS", "MLFLOW_MODELS_WORKERS"],
    default=1,
    show_default=True,
    help="Processes for each model, each with the whole model.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=None,
    help="Requests that one process works on at once, of models whose rows are not joined.  [default: processors + 4]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=None,
    help="Requests whose rows are predicted together, at most; 1 predicts each alone. Given explicitly, it also "
    "joins rows of models that are not known to predict each row by itself.  [default: 64]",
)
@click.option(
    "--batch-wait-ms",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="How long a request waits for others to join while a process is free.",
)
@click.option(
    "--queue-size",
    type=click.IntRange(min=0),
    default=1024,
    show_default=True,
    help="Requests that may wait for a model; more are answered 503.",
)
@click.option(
    "--max-body-mb",
    type=click.FloatRange(min=0.001, max=4000),
    default=100.0,
    show_default=True,
    help="Largest body of a request, in MiB; larger ones are answered 413.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=None,
    help="Most tokens that a language model generates for one answer.",
)
@click.option(
    "--max-prompt-tokens",
    type=click.IntRange(min=1),
    default=None,
    help="Most tokens that a prompt may have.",
)
@click.option(
    "--refresh-seconds",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="How often it is looked up whether an alias, a stage or 'latest' means another version now, which then "
    "takes over without a failed request; 0 never.",
)
@click.option(
    "--auth",
    type=click.Choice(["token", "keys", "none"]),
    default=None,
    help="How clients authenticate: 'token' is the one in SLIPSTREAM_SERVER_TOKEN, 'keys' are those of --api-keys.",
)
@click.option(
    "--api-keys",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="File of lines that 'slipstream models create-key' prints; it is read anew when it changes.",
)
@click.option(
    "--otel/--no-otel",
    "otel",
    default=None,
    help="Send a trace of each request.  [default: if OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_TRACES_EXPORTER is set]",
)
@click.option(
    "--allowed-hosts",
    metavar="NAMES",
    help="Host names to serve under, comma-separated, * as wildcard.  [default: this machine, private addresses]",
)
@click.option(
    "--allowed-origins",
    metavar="ORIGINS",
    help="Origins of web pages that may send requests, comma-separated.",
)
@env_manager_option
@click.option("--no-conda", is_flag=True, help="The same as --env-manager local.")
@click.option(
    "--install-mlflow",
    is_flag=True,
    help="For MLflow's scripts; an environment that is built always has slipstream in MLflow's place.",
)
@trust_option
def serve(
    model_uris: tuple[str, ...],
    port: int,
    host: str,
    timeout: float | None,
    workers: int,
    threads: int | None,
    batch_size: int | None,
    batch_wait_ms: float,
    queue_size: int,
    max_body_mb: float,
    max_tokens: int | None,
    max_prompt_tokens: int | None,
    refresh_seconds: float,
    auth: str | None,
    api_keys: Path | None,
    otel: bool | None,
    allowed_hosts: str | None,
    allowed_origins: str | None,
    env_manager: str,
    no_conda: bool,
    install_mlflow: bool,
    trust: bool,
) -> None:
    """Serve models over HTTP: MLflow's, OpenAI's and the Open Inference protocol.

    Every model runs in processes of its own; one that dies is replaced.
    """
    # Loaded only now: `slipstream models --help` needs no HTTP server.
    from slipstream.serving import gate, run
    from slipstream.serving.app import AppLimits
    from slipstream.serving.pool import PoolLimits

    token = gate.choose_token(host, auth, settings.SERVER_TOKEN.get())
    keys = gate.choose_keys(auth, api_keys, out.note)

    def interpreter(uri: str) -> str:
        from slipstream.cli.model_environment import prepare_environment

        return str(prepare_environment(uri, trusted=trust).programs / "python")

    run.serve(
        run.ServeOptions(
            model_uris=model_uris,
            host=host,
            port=port,
            pool=PoolLimits(
                workers=workers,
                batch_size=batch_size or 64,
                batch_wait_seconds=batch_wait_ms / 1000,
                queue_size=queue_size,
                threads=threads or run.default_threads(),
                timeout_seconds=settings.SCORING_SERVER_REQUEST_TIMEOUT.get() if timeout is None else timeout,
            ),
            app=AppLimits(body_bytes=int(max_body_mb * _MEGABYTE), refresh_seconds=refresh_seconds),
            joined=None if batch_size is None else batch_size > 1,
            max_new_tokens=max_tokens,
            max_prompt_tokens=max_prompt_tokens,
            trust=trust or None,
            interpreter=None if no_conda or env_manager == LOCAL else interpreter,
            gate=gate.Gate(_split(allowed_hosts), _split(allowed_origins), token, keys),
            traced=otel,
        ),
        out.line,
    )


def _split(names: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())
