"""The page at `/`, until the web UI comes: what this server is, where its data is, and how to go on."""

import html

import slipstream
from slipstream.server.context import ServerContext
from slipstream.wire.compatibility import MLFLOW_VERSION


def start_page(context: ServerContext, prefix: str) -> str:
    """Return the page as HTML; every value in it is escaped."""
    rows = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in context.facts().items()
    )
    links = "".join(
        f'<li><a href="{html.escape(prefix + path, quote=True)}">{html.escape(text)}</a></li>'
        for path, text in (
            ("/openapi.json", "the REST API, as OpenAPI"),
            ("/health", "health probe"),
            ("/version", f"the MLflow version spoken ({MLFLOW_VERSION})"),
            ("/api/2.0/mlflow/experiments/search?max_results=100", "experiments, as JSON"),
            ("/api/2.0/mlflow/registered-models/search", "registered models, as JSON"),
        )
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>slipstream</title>
<style>
 body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }}
 th {{ text-align: left; padding-right: 1.5rem; vertical-align: top; font-weight: 600; }}
 code {{ background: #8882; padding: 0 .3em; border-radius: .2em; }}
</style>
<h1>slipstream {html.escape(slipstream.__version__)}</h1>
<p>This tracking server is running. Its web interface comes in a later release; until then:</p>
<ul>{links}</ul>
<p>Point a script here: <code>slipstream.set_tracking_uri("http://this-host:port{html.escape(prefix)}")</code>
or set <code>MLFLOW_TRACKING_URI</code>; the <code>mlflow</code> client works too.</p>
<table>{rows}</table>
</html>"""
