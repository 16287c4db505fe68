"""Options that several commands about models have."""

import click

LOCAL = "local"
ENV_MANAGERS = (LOCAL, "uv", "virtualenv", "conda")

model_uri_option = click.option(
    "--model-uri",
    "-m",
    required=True,
    metavar="URI",
    help="Model to use: models:/NAME@ALIAS, models:/NAME/VERSION, runs:/RUN_ID/NAME, a path or another URI.",
)
env_manager_option = click.option(
    "--env-manager",
    type=click.Choice(ENV_MANAGERS),
    default=LOCAL,
    show_default=True,
    help="Where the model's libraries come from: 'local' is the current environment; the others build the "
    "model's own with uv.",
)
trust_option = click.option(
    "--trust",
    is_flag=True,
    help="Take the model even if it brings code, pickles or requirements of unknown origin. It can then run any "
    "code.",
)
