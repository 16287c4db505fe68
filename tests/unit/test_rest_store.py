"""`RestStore` against the table of routes, served by the plainest HTTP server there is."""

import json
import math
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from slipstream.api.routing import encode
from slipstream.api.table import ROUTES
from slipstream.client.connect import connect
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport
from slipstream.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    RunTag,
    ViewType,
)
from slipstream.errors import (
    AlreadyExistsError,
    InvalidParameterError,
    InvalidStateError,
    NotFoundError,
    SlipstreamError,
)
from slipstream.store.base import Store

PATTERNS = [
    (method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), route)
    for (method, path), route in ROUTES.items()
]


def answer(store: Store, method: str, target: str, body: bytes) -> tuple[int, bytes]:
    url = urlsplit(target)
    for verb, pattern, route in PATTERNS:
        match = pattern.fullmatch(url.path)
        if verb != method or match is None:
            continue
        names = {name: unquote(value) for name, value in match.groupdict().items()}
        try:
            if method == "GET":
                request = route.decode_query(parse_qsl(url.query, keep_blank_values=True), names)
            else:
                request = route.decode(body, names)
            return 200, encode(route.handler(store, request))
        except SlipstreamError as error:
            return error.status, json.dumps({"error_code": error.code, "message": str(error)}).encode()
    return 404, b"no such route"


@pytest.fixture
def rest(tracking: str) -> Iterator[RestStore]:
    store = connect(tracking).store

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = answer(store, self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815  # the names that the server calls

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    transport = Transport(f"http://127.0.0.1:{httpd.server_port}")
    yield RestStore(transport)
    transport.close()
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_experiments(rest: RestStore) -> None:
    experiment_id = rest.create_experiment("e/ü", tags={"a": "b"})
    rest.set_experiment_tag(experiment_id, "k", "v")
    rest.delete_experiment_tag(experiment_id, "a")
    rest.rename_experiment(experiment_id, "new")

    found = rest.get_experiment(experiment_id)
    assert (found.name, found.tags) == ("new", {"k": "v"})
    assert rest.find_experiment_by_name("new") == found
    assert rest.find_experiment_by_name("e/ü") is None
    page = rest.search_experiments(max_results=1, order_by=["name ASC"])
    assert [each.name for each in page.items] == ["Default"]
    second = rest.search_experiments(max_results=1, order_by=["name ASC"], page_token=page.token)
    assert second.items == [found]
    assert second.token is None
    assert rest.search_experiments(filter_string="name = 'new'").items == [found]
    with pytest.raises(AlreadyExistsError):
        rest.create_experiment("new")
    rest.delete_experiment(experiment_id)
    assert [each.name for each in rest.search_experiments(ViewType.DELETED_ONLY).items] == ["new"]
    with pytest.raises(InvalidStateError):
        rest.rename_experiment(experiment_id, "x")
    rest.restore_experiment(experiment_id)
    assert rest.get_experiment(experiment_id).lifecycle_stage == "active"


def test_runs(rest: RestStore) -> None:
    run = rest.create_run("0", "ann", "name", 5, [RunTag("t", "1")])
    run_id = run.info.run_id
    rest.log_param(run_id, "p", "1")
    rest.set_tag(run_id, "gone", "x")
    rest.delete_tag(run_id, "gone")
    rest.log_batch(run_id, [Metric("m", 0.5, 7, 1)], [Param("q", "")], [RunTag("u", "ü")])
    info = rest.update_run(run_id, "FINISHED", 99, "renamed")

    stored = rest.get_run(run_id)
    assert stored.info == info
    assert (info.status, info.start_time, info.end_time, info.run_name) == ("FINISHED", 5, 99, "renamed")
    assert stored.data.params == {"p": "1", "q": ""}
    assert (stored.data.tags["t"], stored.data.tags["u"]) == ("1", "ü")
    assert "gone" not in stored.data.tags
    assert stored.data.latest_metrics == [Metric("m", 0.5, 7, 1)]
    assert rest.search_runs(["0"], "params.p = '1'", max_results=1).items == [stored]
    rest.delete_run(run_id)
    assert rest.search_runs(["0"]).items == []
    assert len(rest.search_runs(["0"], run_view_type=ViewType.DELETED_ONLY).items) == 1
    rest.restore_run(run_id)
    with pytest.raises(NotFoundError):
        rest.get_run("0" * 32)
    with pytest.raises(InvalidParameterError, match="'p'"):
        rest.log_param(run_id, "p", "2")


def test_metrics_of_every_kind_of_double(rest: RestStore) -> None:
    run_id = rest.create_run("0").info.run_id
    rest.log_metric(run_id, Metric("m", math.nan, 1, -3))
    rest.log_batch(
        run_id, [Metric("m", math.inf, 2, 1), Metric("m", -math.inf, 3, 2), Metric("m", 1e-300, 4, 3)]
    )

    page = rest.get_metric_history(run_id, "m", 2)
    rest_of_it = rest.get_metric_history(run_id, "m", 2, page.token)
    values = [point.value for point in [*page.items, *rest_of_it.items]]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf, 1e-300]  # the wire has the largest double instead
    assert page.items[0].step == -3
    bulk = rest.get_metric_history_bulk([run_id], "m", 3)
    assert [(point.run_id, point.timestamp) for point in bulk] == [(run_id, 1), (run_id, 2), (run_id, 3)]
    assert bulk[1].value == math.inf
    interval = rest.get_metric_history_interval([run_id], "m", 1, 3)
    assert [(point.run_id, point.step) for point in interval] == [(run_id, 1), (run_id, 2), (run_id, 3)]
    assert [point.value for point in interval] == [math.inf, -math.inf, 1e-300]


def test_inputs_and_outputs(rest: RestStore) -> None:
    run_id = rest.create_run("0").info.run_id
    model = rest.create_logged_model("0", "m", source_run_id=run_id)
    entry = DatasetInput(
        dataset=Dataset(name="d", digest="1", source_type="local", source="{}", profile="{}"),
        tags=[InputTag("mlflow.data.context", "training")],
    )
    rest.log_inputs(run_id, [entry], [model.model_id])
    rest.log_outputs(run_id, [LoggedModelOutput(model.model_id, 4)])

    stored = rest.get_run(run_id)
    assert stored.inputs.dataset_inputs == [entry]
    assert stored.inputs.model_inputs == [LoggedModelInput(model.model_id)]
    assert stored.outputs.model_outputs == [LoggedModelOutput(model.model_id, 4)]
    (summary,) = rest.search_datasets(["0"])
    assert (summary.name, summary.digest, summary.context) == ("d", "1", "training")


def test_logged_models(rest: RestStore) -> None:
    made = rest.create_logged_model("0", "net", tags={"a": "1"}, params={"p": "1"}, model_type="tree")
    assert made.status == LoggedModelStatus.PENDING
    ready = rest.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    rest.set_logged_model_tags(made.model_id, {"b/c d": "2"})
    rest.delete_logged_model_tag(made.model_id, "b/c d")
    rest.log_logged_model_params(made.model_id, {"q": "2"})
    run_id = rest.create_run("0").info.run_id
    rest.log_metric(run_id, Metric("acc", 0.5, 1, model_id=made.model_id))

    stored = rest.get_logged_model(made.model_id)
    assert (stored.status, stored.model_type, stored.artifact_location) == (
        LoggedModelStatus.READY,
        "tree",
        ready.artifact_location,
    )
    assert (stored.tags, stored.params) == ({"a": "1"}, {"p": "1", "q": "2"})
    assert [(point.key, point.value, point.run_id) for point in stored.metrics] == [("acc", 0.5, run_id)]
    order = [{"field_name": "creation_timestamp", "ascending": False}]
    found = rest.search_logged_models(["0"], "name = 'net'", order_by=order, max_results=1)
    assert [model.model_id for model in found.items] == [made.model_id]
    with pytest.raises(InvalidParameterError, match="order_by"):
        rest.search_logged_models(["0"], order_by=[{"field": "x"}])
    rest.delete_logged_model(made.model_id)
    with pytest.raises(NotFoundError):
        rest.get_logged_model(made.model_id)


def test_registry(rest: RestStore) -> None:
    model = rest.create_logged_model("0", "net")
    source = f"models:/{model.model_id}"
    assert rest.create_registered_model("r e#g?", {"a": "1"}, "text").tags == {"a": "1"}
    first = rest.create_model_version("r e#g?", source, tags={"k": "v"}, model_id=model.model_id)
    second = rest.create_model_version("r e#g?", source, description="two", model_id=model.model_id)
    assert (first.version, first.source, first.tags, second.version) == ("1", source, {"k": "v"}, "2")
    rest.set_registered_model_alias("r e#g?", "champion", "1")
    rest.set_registered_model_tag("r e#g?", "b", "2")
    rest.delete_registered_model_tag("r e#g?", "a")
    rest.set_model_version_tag("r e#g?", "2", "x", "y")
    rest.delete_model_version_tag("r e#g?", "1", "k")
    assert rest.update_model_version("r e#g?", "2", "changed").description == "changed"
    assert rest.transition_model_version_stage("r e#g?", "1", "production").current_stage == "Production"

    stored = rest.get_registered_model("r e#g?")
    assert (stored.tags, stored.aliases, stored.description) == ({"b": "2"}, {"champion": "1"}, "text")
    assert {version.version for version in stored.latest_versions} == {"1", "2"}
    assert rest.get_model_version_by_alias("r e#g?", "champion").version == "1"
    assert rest.get_model_version("r e#g?", "2").tags == {"x": "y"}
    assert [version.version for version in rest.get_latest_versions("r e#g?", ["Production"])] == ["1"]
    assert rest.get_model_version_download_uri("r e#g?", "1") == model.artifact_location
    assert len(rest.search_model_versions("name = 'r e#g?'", max_results=10).items) == 2
    assert [each.name for each in rest.search_registered_models(max_results=10).items] == ["r e#g?"]
    rest.delete_registered_model_alias("r e#g?", "champion")
    with pytest.raises(InvalidParameterError):
        rest.get_model_version_by_alias("r e#g?", "champion")
    assert rest.update_registered_model("r e#g?", None).description is None
    assert rest.rename_registered_model("r e#g?", "plain").name == "plain"
    rest.delete_model_version("plain", "2")
    with pytest.raises(NotFoundError):
        rest.get_model_version("plain", "2")
    rest.delete_registered_model("plain")
    with pytest.raises(NotFoundError):
        rest.get_registered_model("plain")
