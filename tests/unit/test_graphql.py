"""GraphQL: what the stock web pages ask, what queries may look like, and which are refused."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.api.graphql import schema
from slipstream.api.graphql.endpoint import GraphQL, graphql
from slipstream.api.graphql.language import Field, as_json, parse
from slipstream.api.table import ROUTES
from slipstream.entities import Dataset, DatasetInput, InputTag, Metric, Page, Param, RunTag
from slipstream.errors import InvalidParameterError
from slipstream.store.engine import QueuedStore, open_store

ECHO = 'test(inputString: "a") { output }'

# As MLflow's pages send them, shortened; Apollo adds __typename everywhere.
GET_RUN = """
query GetRun($data: MlflowGetRunInput!) @component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetRun(input: $data) {
    apiError { helpUrl code message __typename }
    run {
      info { runName status runUuid experimentId artifactUri endTime lifecycleStage startTime userId __typename }
      experiment { experimentId name tags { key value } artifactLocation lifecycleStage lastUpdateTime }
      modelVersions { status version name source }
      data { metrics { key value step timestamp } params { key value } tags { key value } }
      inputs {
        datasetInputs { dataset { digest name profile schema source sourceType } tags { key value } }
        modelInputs { modelId }
      }
      outputs { modelOutputs { modelId step } }
    }
  }
}
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("graphql")
    opened = open_store(f"sqlite:///{folder / 's.db'}", str(folder / "artifacts"), "normal")
    yield opened
    opened.close()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture(scope="module")
def run_id(store: QueuedStore) -> str:
    experiment = store.create_experiment("e", tags={"t": "1"})
    run_id = store.create_run(experiment, "ann", "first", 5, [RunTag("k", "v")]).info.run_id
    points = [Metric("nan", float("nan"), 1, 1), Metric("loss", 0.5, 2**40, 3)]
    store.log_batch(run_id, points, [Param("p", "1")])
    dataset = Dataset(name="d", digest="x", source_type="s", source="u")
    store.log_inputs(run_id, [DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", "train")])])
    store.create_registered_model("m")
    store.create_model_version("m", "s3://bucket/model", run_id)
    return run_id


def ask(store: Any, query: str, variables: Any = None, name: str | None = None) -> Any:
    answer = graphql(store, GraphQL(query=query, variables=variables, operationName=name))
    return json.loads(msgspec.json.encode(answer))


def data(store: Any, query: str, variables: Any = None) -> Any:
    answer = ask(store, query, variables)
    assert answer["errors"] is None
    return answer["data"]


def faults(store: Any, query: str, variables: Any = None) -> list[str]:
    answer = ask(store, query, variables)
    assert answer["data"] is None
    assert answer["errors"]
    return answer["errors"]


# -- what pages ask ---------------------------------------------------------------------------------------


def test_a_page_of_a_run(store: QueuedStore, run_id: str) -> None:
    run = store.get_run(run_id)
    found = data(store, GET_RUN, {"data": {"runId": run_id}})["mlflowGetRun"]
    experiment = found["run"]["experiment"]
    assert found["apiError"] is None
    assert found["run"]["info"] == {
        "runName": "first",
        "status": "RUNNING",
        "runUuid": run_id,
        "experimentId": run.info.experiment_id,
        "artifactUri": run.info.artifact_uri,
        "endTime": "0",
        "lifecycleStage": "active",
        "startTime": "5",
        "userId": "ann",
        "__typename": "MlflowRunInfo",
    }
    assert (experiment["name"], experiment["tags"]) == ("e", [{"key": "t", "value": "1"}])
    assert int(experiment["lastUpdateTime"]) > 0
    assert found["run"]["modelVersions"] == [
        {"status": "READY", "version": "1", "name": "m", "source": "s3://bucket/model"}
    ]
    metrics = {each["key"]: each for each in found["run"]["data"]["metrics"]}
    assert metrics["nan"]["value"] is None
    assert metrics["loss"] == {"key": "loss", "value": 0.5, "step": "3", "timestamp": str(2**40)}
    assert found["run"]["inputs"] == {
        "datasetInputs": [
            {
                "dataset": {
                    "digest": "x",
                    "name": "d",
                    "profile": "",
                    "schema": "",
                    "source": "u",
                    "sourceType": "s",
                },
                "tags": [{"key": "mlflow.data.context", "value": "train"}],
            }
        ],
        "modelInputs": [],
    }
    assert found["run"]["outputs"] == {"modelOutputs": []}


def test_all_root_fields(store: QueuedStore, run_id: str) -> None:
    experiment = store.get_run(run_id).info.experiment_id
    search = f'mlflowSearchRuns(input: {{experimentIds: ["{experiment}"], runViewType: ALL, maxResults: 5}})'
    found = data(
        store,
        f"""{{
          {search} {{ runs {{ info {{ runId }} modelVersions {{ version }} }} nextPageToken }}
          mlflowGetExperiment(input: {{experimentId: "{experiment}"}}) {{ experiment {{ name workspace }} }}
          mlflowSearchModelVersions(input: {{filter: "run_id='{run_id}'", maxResults: "3", orderBy: "name"}}) {{
            modelVersions {{ name aliases deploymentJobState {{ jobId jobState }} modelMetrics {{ key }} }}
          }}
          mlflowGetMetricHistoryBulkInterval(input: {{runIds: ["{run_id}"], metricKey: "loss", maxResults: 2}}) {{
            metrics {{ key value step runId }}
          }}
        }}""",
    )
    assert found == {
        "mlflowSearchRuns": {
            "runs": [{"info": {"runId": run_id}, "modelVersions": [{"version": "1"}]}],
            "nextPageToken": "",
        },
        "mlflowGetExperiment": {"experiment": {"name": "e", "workspace": "default"}},
        "mlflowSearchModelVersions": {
            "modelVersions": [
                {
                    "name": "m",
                    "aliases": [],
                    "modelMetrics": [],
                    "deploymentJobState": {"jobId": "", "jobState": None},
                }
            ]
        },
        "mlflowGetMetricHistoryBulkInterval": {
            "metrics": [{"key": "loss", "value": 0.5, "step": "3", "runId": run_id}]
        },
    }
    assert next(iter(found)) == "mlflowSearchRuns"
    changed = data(
        store,
        f"""mutation {{ {search} {{ runs {{ info {{ status }} }} }} testMutation(inputString: "x") {{ output }}
          mlflowSearchDatasets(input: {{experimentIds: "{experiment}"}}) {{ datasetSummaries {{ name context }} }} }}""",
    )
    assert changed == {
        "mlflowSearchRuns": {"runs": [{"info": {"status": "RUNNING"}}]},
        "testMutation": {"output": "x"},
        "mlflowSearchDatasets": {"datasetSummaries": [{"name": "d", "context": "train"}]},
    }


def test_a_field_that_fails_leaves_the_others(store: QueuedStore, run_id: str) -> None:
    answer = ask(
        store,
        """{ gone: mlflowGetRun(input: {runId: "none"}) { run { info { runId } } }
             mlflowGetExperiment(input: {experimentId: "0"}) { experiment { name } }
             mlflowGetRun { run { info { runId } } } }""",
    )
    assert answer["data"] == {
        "gone": None,
        "mlflowGetExperiment": {"experiment": {"name": "Default"}},
        "mlflowGetRun": None,
    }
    assert len(answer["errors"]) == 2
    assert "none" in answer["errors"][0]
    assert "'input'" in answer["errors"][1]


def test_versions_of_many_runs_are_looked_up_together(store: QueuedStore, run_id: str) -> None:
    experiment = store.create_experiment("many")
    ids = [store.create_run(experiment).info.run_id for _ in range(12)]
    for each in ids[:3]:
        store.create_model_version("m", "s3://bucket/model", each)
    asked: list[str | None] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def search_model_versions(self, filter_string: str | None = None) -> Page[Any]:
            asked.append(filter_string)
            return store.search_model_versions(filter_string)

    found = data(
        Counting(),
        f'{{ mlflowSearchRuns(input: {{experimentIds: ["{experiment}"]}}) '
        "{ runs { info { runId } modelVersions { version } experiment { name } } } }",
    )["mlflowSearchRuns"]["runs"]
    assert {run["info"]["runId"] for run in found if run["modelVersions"]} == set(ids[:3])
    assert {run["experiment"]["name"] for run in found} == {"many"}
    assert len(asked) == 1


# -- the language -----------------------------------------------------------------------------------------


def test_fragments_aliases_and_conditions(store: QueuedStore) -> None:
    query = """
    query ($yes: Boolean = true, $no: Boolean!) {
      ...Both
      ... on Query { second: test(inputString: "b") { ...Output } }
      ... @include(if: $no) { third: test(inputString: "c") { output } }
      fourth: test(inputString: "d") @skip(if: $yes) { output }
      test(inputString: "a") { kind: __typename }
      __typename
    }
    fragment Both on Query { test(inputString: "a") { ...Output @include(if: $yes) } }
    fragment Output on Test { output }
    """
    assert data(store, query, {"no": False}) == {
        "test": {"output": "a", "kind": "Test"},
        "second": {"output": "b"},
        "__typename": "Query",
    }


def test_values_of_every_kind(store: QueuedStore) -> None:
    texts = {
        r'"a\n\"\\\/\u00e9\u{1F600}\uD83D\uDE00"': 'a\n"\\/é😀😀',
        '"# no, comment {"': "# no, comment {",
        '"""\n    a\n      b\n\n    c\n  """': "a\n  b\n\nc",
        r'"""say \""" now"""': 'say """ now',
        '""': "",
        '""""""': "",
    }
    for text, value in texts.items():
        assert data(store, f"{{ test(inputString: {text}) {{ output }} }}")["test"]["output"] == value
    (operation,) = parse('{ f(a: [1, -2.5e3, true, null, RED, {b: "c"}] # comment\n) }').operations
    (field,) = operation.selections
    assert isinstance(field, Field)
    assert as_json(field.arguments["a"]) == [1, -2500.0, True, None, "RED", {"b": "c"}]


def test_the_operation_is_chosen_by_name(store: QueuedStore) -> None:
    two = 'query a { test(inputString: "1") { output } } query b { test(inputString: "2") { output } }'
    assert ask(store, two, name="b")["data"] == {"test": {"output": "2"}}
    assert "operation name" in faults(store, two)[0]
    assert "'c'" in ask(store, two, name="c")["errors"][0]


def test_variables_may_come_as_text_in_a_url(store: QueuedStore) -> None:
    decode = ROUTES["GET", "/graphql"].decode_query
    query = "query ($x: String) { test(inputString: $x) { output } }"
    request = decode([("query", query), ("variables", '{"x": "ü"}')], {})
    answer = graphql(store, request)
    assert answer.data == {"test": {"output": "ü"}}
    for bad in ("{", "[]", "1"):
        assert graphql(store, decode([("query", query), ("variables", bad)], {})).errors


def test_values_of_variables_keep_their_names(store: QueuedStore) -> None:
    body = {
        "query": "query ($d: MlflowGetRunInput!) { mlflowGetRun(input: $d) { run { info { runId } } } }",
        "variables": {"d": {"runId": "x"}},
        "operationName": None,
    }
    request = ROUTES["POST", "/graphql"].decode(json.dumps(body).encode(), {})
    assert request.variables == {"d": {"runId": "x"}}


WRONG = {
    "": "Syntax Error",
    "{": "the end",
    "{ test(": "line 1, column 8",
    "{ }": "Syntax Error",
    "nonsense": "nonsense",
    '{ test(inputString: "a) { output } }': "unexpected character",
    r'{ test(inputString: "\ud800") { output } }': "surrogate",
    r'{ test(inputString: "\u{110000}") { output } }': "no character",
    "{ test(inputString: 01) { output } }": "unexpected character",
    "{ test(inputString: $) { output } }": "expected a name",
    f"{{ test(inputString: {'9' * 50}) {{ output }} }}": "too many digits",
    "{ nope }": "Cannot query field 'nope' on type 'Query'",
    "{ test }": "must have a selection",
    "{ test { output { x } } }": "must not have a selection",
    "{ test { output nope } }": "'nope' on type 'Test'",
    '{ test(wrong: "a") { output } }': "Unknown argument 'wrong'",
    '{ test(inputString: "a", inputString: "b") { output } }': "only one argument",
    "{ test(inputString: 5) { output } }": "String cannot represent the value 5",
    "{ test(inputString: RED) { output } }": "String cannot represent",
    "{ test(inputString: $x) { output } }": "'$x' is not defined",
    "query ($x: Int) { test(inputString: $x) { output } }": "expecting type 'String'",
    "query ($x: Test) { test(inputString: $x) { output } }": "no type of inputs",
    "query ($x: Int = 3000000000) { test { output } }": "Int cannot represent",
    "query ($x: String, $x: String) { test { output } }": "only one variable",
    '{ mlflowGetRun(input: {runID: "x"}) { run { info { runId } } } }': "Field 'runID' is not defined",
    '{ mlflowGetRun(input: "x") { run { info { runId } } } }': "MlflowGetRunInput",
    '{ mlflowSearchRuns(input: {runViewType: "ALL"}) { runs { info { runId } } } }': "MlflowViewType",
    "{ mlflowSearchRuns(input: {runViewType: NONE}) { runs { info { runId } } } }": "MlflowViewType",
    "{ mlflowSearchRuns(input: {maxResults: 1.5}) { runs { info { runId } } } }": "Int cannot represent",
    '{ a: test(inputString: "1") { output } a: test(inputString: "2") { output } }': "conflict",
    "{ ...Gone }": "Unknown fragment 'Gone'",
    "{ ...F } fragment F on Mutation { testMutation { output } }": "cannot be spread",
    "{ ... on Test { output } }": "cannot be spread",
    "{ ...F } fragment F on Query { __typename } fragment F on Query { __typename }": "only one fragment",
    f"{{ {ECHO} @upper }}": "Syntax Error",
    "{ test @upper { output } }": "Unknown directive '@upper'",
    "{ test @skip { output } }": "takes one argument",
    '{ test @skip(if: "no") { output } }': "Boolean! cannot represent",
    f"query @upper {{ {ECHO} }}": "Unknown directive",
    f"{{ {ECHO} }} {{ {ECHO} }}": "needs a name of its own",
    "{ __schema { queryType { name } } }": "introspection",
    "subscription { x }": "subscription",
    "{ __typename { x } }": "__typename",
}


@pytest.mark.parametrize("query", WRONG)
def test_wrong_queries_say_what_is_wrong(store: QueuedStore, query: str) -> None:
    text = " ".join(faults(store, query))
    expected = WRONG[query].replace("Boolean! cannot", "Boolean cannot")
    assert expected in text


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("String!", None, "must not be null"),
        ("String", 5, "String cannot represent"),
        ("[String!]", ["a", None], r"[1]"),
        ("MlflowGetRunInput", {"runId": 5}, "runId"),
        ("MlflowGetRunInput", {"nope": "x"}, "'nope'"),
        ("MlflowGetRunInput", "x", "object"),
        ("MlflowViewType", "NONE", "MlflowViewType"),
        ("Int", True, "Int cannot represent"),
        ("Int", 2**31, "Int cannot represent"),
        ("LongString", "1.5", "LongString cannot represent"),
        ("Boolean", "true", "Boolean cannot represent"),
    ],
)
def test_variables_that_do_not_fit(store: QueuedStore, kind: str, value: object, message: str) -> None:
    assert message in faults(store, f"query ($x: {kind}) {{ {ECHO} }}", {"x": value})[0]


def test_a_variable_that_is_not_given(store: QueuedStore) -> None:
    assert "was not provided" in faults(store, f"query ($x: String!) {{ {ECHO} }}")[0]
    assert data(store, "query ($x: String) { test(inputString: $x) { output } }") == {
        "test": {"output": None}
    }


# -- limits -----------------------------------------------------------------------------------------------


def test_root_fields_and_aliases_are_limited(store: QueuedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    many = " ".join(f"a{n}: {ECHO}" for n in range(11))
    assert "at most 10 root fields" in faults(store, f"{{ {many} }}")[0]
    monkeypatch.setenv("MLFLOW_SERVER_GRAPHQL_MAX_ROOT_FIELDS", "20")
    assert "at most 10 aliases" in faults(store, f"{{ {many} }}")[0]
    spread = " ".join(f"... on Query {{ a{n}: {ECHO} }}" for n in range(11))
    assert "at most 10 aliases" in faults(store, f"{{ {spread} }}")[0]
    monkeypatch.setenv("MLFLOW_SERVER_GRAPHQL_MAX_ALIASES", "20")
    assert len(data(store, f"{{ {many} }}")) == 11


def test_depth_is_limited_through_fragments_and_circles(store: QueuedStore) -> None:
    deep = "test { " * 11 + "output" + " }" * 11
    assert "maximum depth" in faults(store, f"{{ {deep} }}")[0]
    assert "maximum depth" in faults(store, "{ ...A } fragment A on Query { test { ...A } }")[0]
    circle = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A " + ECHO + " }"
    assert data(store, circle) == {"test": {"output": "a"}}
    assert "nested more than" in faults(store, "{ test(inputString: " + "[" * 5000)[0]
    assert "nested more than" in faults(store, "{a" * 5000)[0]
    assert "nested more than" in faults(store, "query ($x: " + "[" * 5000)[0]


def test_size_is_limited(store: QueuedStore) -> None:
    fields = "key " * 1001
    query = (
        f'{{ mlflowGetExperiment(input: {{experimentId: "0"}}) {{ experiment {{ tags {{ {fields} }} }} }} }}'
    )
    assert "maximum total selections" in faults(store, query)[0]
    # Each fragment spreads the next ten times: unfolded, more than all memory could hold.
    laughs = "{ ...L0 } " + " ".join(
        f"fragment L{n} on Query {{ {' '.join(f'test {{ ...L{n + 1} }}' for _ in range(10))} }}"
        for n in range(9)
    )
    assert "maximum" in faults(store, laughs)[0]
    assert "longer than" in faults(store, "#" * 100_000)[0]


@given(st.text(alphabet='{}()[]$!:=@.|&"\\u#\n ,abtestoutputinputString019-eE_', max_size=60))
def test_whatever_is_sent_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidParameterError):
        parse(text)


# -- the schema -------------------------------------------------------------------------------------------


def test_every_type_that_is_named_is_there() -> None:
    known = schema.SCALARS | set(schema.ENUMS) | set(schema.OBJECTS)
    for fields in schema.OBJECTS.values():
        assert {kind.strip("[]") for kind in fields.values()} <= known
    for fields in schema.INPUTS.values():
        assert {kind.strip("[]") for kind in fields.values()} <= schema.SCALARS | set(schema.ENUMS)
    roots = {*schema.OBJECTS["Query"], *schema.OBJECTS["Mutation"]}
    assert roots == set(schema.ROOTS)
    for takes, _ in schema.ROOTS.values():
        assert set(takes.values()) <= schema.SCALARS | set(schema.INPUTS)
