"""Manifests for Kubernetes and KServe: what stands in them fits the engines' own schemas."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from kserve_schema import KUBERNETES, inference_service_problems
from slipstream.deployments import get_deploy_client
from slipstream.errors import (
    AlreadyExistsError,
    ExecutionError,
    InvalidParameterError,
    MissingDependencyError,
    NotFoundError,
)

OLDEST = "1.30"
PLAIN = {"image": "example.com/scoring:1", "auth": "none", "tracking_uri": "http://tracking:5000"}
EVERYTHING = {
    "image": "example.com/ml/scoring@sha256:" + "0" * 64,
    "token_secret": "scoring-token",
    "tracking_uri": "https://tracking.example.com",
    "env": '{"OMP_NUM_THREADS": "2", "NOTE": "yes: $(HOME) # no\\n- x"}',
    "env_secrets": "store-credentials,more",
    "cpu": "2",
    "cpu_limit": "4",
    "memory": "2.5Gi",
    "memory_limit": "8Gi",
    "gpus": "1",
    "workers": "3",
    "port": "8080",
    "allowed_hosts": "ml.example.com,*.example.org",
    "startup_seconds": "31",
    "trust": "true",
    "service_account": "scoring",
    "image_pull_secret": "registry",
    "namespace": "ml",
    "min_replicas": "2",
    "max_replicas": "9",
}
MODEL = "models:/churn@champion"


def created(target: str, config: dict[str, Any], model_uri: str = MODEL, name: str = "churn") -> list[Any]:
    made = get_deploy_client(target).create_deployment(name, model_uri, config=config)
    return list(yaml.safe_load_all(Path(made["manifest"]).read_text("utf-8")))


def require_kubernetes(document: dict[str, Any]) -> None:
    for version in (OLDEST, KUBERNETES):
        kubernetes_validate.validate(document, version, strict=True)


# -- against the schemas --------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [PLAIN, EVERYTHING | {"target_cpu": "50", "service_type": "LoadBalancer"}])
def test_kubernetes_takes_every_object(config: dict[str, Any]) -> None:
    documents = created("kubernetes", config)
    assert [document["kind"] for document in documents] == (
        ["Deployment", "Service"] + ["HorizontalPodAutoscaler"] * ("max_replicas" in config)
    )
    for document in documents:
        require_kubernetes(document)


@pytest.mark.parametrize("mode", [{}, {"deployment_mode": "Standard"}, {"deployment_mode": "Serverless"}])
@pytest.mark.parametrize(
    "config", [PLAIN, EVERYTHING | {"scale_metric": "rps", "scale_target": 8, "container_concurrency": "4"}]
)
def test_kserve_takes_the_service(config: dict[str, Any], mode: dict[str, str]) -> None:
    [document] = created("kserve", config | mode)
    assert inference_service_problems(document) == []
    assert document["apiVersion"] == "serving.kserve.io/v1beta1"
    patient = mode.get("deployment_mode") == "Standard"
    [server] = document["spec"]["predictor"]["containers"]
    assert ("livenessProbe" in server, "startupProbe" in server) == (patient, patient)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("spec", "predictor", "minReplica"), 1),
        (("spec", "predictor", "minReplicas"), "1"),
        (("spec", "predictr"), {}),
        (("spec", "predictor", "containers", 0, "imagee"), "x"),
        (("spec", "predictor", "containers", 0, "ports", 0, "containerPort"), "8080"),
    ],
)
def test_the_check_of_kserve_finds_what_is_wrong(place: tuple[Any, ...], value: object) -> None:
    [document] = created("kserve", PLAIN)
    broken = copy.deepcopy(document)
    at: Any = broken
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    assert inference_service_problems(broken) != []


def test_the_check_of_kubernetes_finds_unknown_fields() -> None:
    document = created("kubernetes", PLAIN)[0]
    document["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        require_kubernetes(document)


# -- what stands in them --------------------------------------------------------------------------------------


def test_the_pod_has_no_rights_and_is_probed() -> None:
    deployment, service = created("kubernetes", PLAIN)
    pod = deployment["spec"]["template"]["spec"]
    [server] = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert server["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for probe, path in (("startupProbe", "/ping"), ("readinessProbe", "/ping"), ("livenessProbe", "/health")):
        assert server[probe]["httpGet"] == {"path": path, "port": 5000}
    assert server["startupProbe"]["failureThreshold"] * server["startupProbe"]["periodSeconds"] == 600
    assert server["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"memory": "1Gi"},
    }
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert service["spec"]["selector"] == selector == deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["ports"][0]["targetPort"] == server["ports"][0]["containerPort"]


def test_the_command_is_one_that_the_command_line_takes() -> None:
    """The arguments are parsed by the command itself, up to where it would load the model."""
    from slipstream.cli.models import serve

    deployment, *_ = created("kubernetes", EVERYTHING)
    server = deployment["spec"]["template"]["spec"]["containers"][0]
    assert server["command"] == ["slipstream", "models", "serve"]
    context = serve.make_context("serve", list(server["args"]))
    values = context.params
    assert values["model_uris"] == (MODEL,)
    assert (values["host"], values["port"], values["workers"]) == ("0.0.0.0", 8080, 3)
    assert (values["auth"], values["trust"]) == ("token", True)
    assert values["allowed_hosts"].split(",") == [
        "churn",
        "localhost",
        "churn.ml",
        "churn.ml.svc",
        "churn.ml.svc.cluster.local",
        "ml.example.com",
        "*.example.org",
    ]


def test_the_token_is_only_referred_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "not-to-be-written")
    deployment, *_ = created("kubernetes", EVERYTHING)
    text = Path("deployments/churn.yaml").read_text("utf-8")
    assert "not-to-be-written" not in text
    [server] = deployment["spec"]["template"]["spec"]["containers"]
    variables = {entry["name"]: entry for entry in server["env"]}
    assert variables["SLIPSTREAM_SERVER_TOKEN"]["valueFrom"] == {
        "secretKeyRef": {"name": "scoring-token", "key": "token"}
    }
    assert server["envFrom"] == [
        {"secretRef": {"name": "store-credentials"}},
        {"secretRef": {"name": "more"}},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "null",
        "1e3",
        "a: b",
        "- x",
        "#x",
        "'",
        '"',
        "&a *a",
        "!!python/object:os.system",
        "${HOME}",
        "ü\u2028",
    ],
)
def test_text_stays_text(text: str) -> None:
    uri = f"models:/{text}/1"
    deployment, *_ = created("kubernetes", PLAIN | {"env": {"NOTE": text}}, uri)
    [server] = deployment["spec"]["template"]["spec"]["containers"]
    note = next(entry for entry in server["env"] if entry["name"] == "NOTE")
    assert note["value"] == text.replace("$", "$$")
    assert f"--model-uri={uri}".replace("$", "$$") in server["args"]
    require_kubernetes(deployment)


def test_kubernetes_puts_no_variable_into_user_text() -> None:
    deployment, *_ = created("kubernetes", EVERYTHING, "models:/a$(SLIPSTREAM_SERVER_TOKEN)/1")
    [server] = deployment["spec"]["template"]["spec"]["containers"]
    assert server["args"][0] == "--model-uri=models:/a$$(SLIPSTREAM_SERVER_TOKEN)/1"
    note = next(entry for entry in server["env"] if entry["name"] == "NOTE")
    assert note["value"] == "yes: $$(HOME) # no\n- x"


def test_an_autoscaler_owns_the_number_of_pods() -> None:
    deployment, _, scaler = created("kubernetes", EVERYTHING)
    assert "replicas" not in deployment["spec"]
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 9)
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


# -- refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["kubernetes", "kserve"])
@pytest.mark.parametrize(
    "name", ["Churn", "a_b", "-a", "a-", "1a", "", "a.b", "a" * 64, "../x", "a\n", "a b", "ä"]
)
def test_a_name_that_is_no_dns_label_is_refused(target: str, name: str, folder: Path) -> None:
    with pytest.raises(InvalidParameterError, match="name must be a DNS label"):
        created(target, PLAIN, name=name)
    assert list(folder.iterdir()) == []


def test_kserve_needs_room_for_its_own_ending() -> None:
    created("kserve", PLAIN, name="a" * 53)
    with pytest.raises(InvalidParameterError, match="-predictor"):
        created("kserve", PLAIN, name="a" * 54)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": None}, "'image' must be given"),
        ({"image": "a b"}, "image must be a reference"),
        ({"image": "-x"}, "image must be a reference"),
        ({"auth": None}, "Say how clients authenticate"),
        ({"token_secret": "x"}, "Say how clients authenticate"),
        ({"auth": "basic"}, "can only be 'none'"),
        ({"cpu": "much"}, "cpu must be an amount"),
        ({"memory": "1Gb"}, "memory must be an amount"),
        ({"env": '{"a b": 1}'}, "env must hold names"),
        ({"env": "x=1"}, "'env' must be a JSON object, got 'x=1'"),
        ({"env_secrets": "A B"}, "env_secrets must be the name"),
        ({"workers": "0"}, "'workers' must be a whole number, at least 1, got '0'"),
        ({"workers": "two"}, "'workers' must be a whole number"),
        ({"trust": "maybe"}, "'trust' must be true or false"),
        ({"port": "80"}, "at least 1024"),
        ({"colour": "red"}, "has no setting 'colour'. It has: .*image"),
        ({"tracking_uri": "https://me:secret@host"}, "would stand in the manifest"),
        ({"namespace": "a/b"}, "namespace must be the name"),
        (
            {"min_replicas": "3", "max_replicas": "2"},
            r"min_replicas \(3\) must be at most max_replicas \(2\)",
        ),
    ],
)
@pytest.mark.parametrize("target", ["kubernetes", "kserve"])
def test_wrong_settings_are_refused_and_nothing_is_written(
    target: str, change: dict[str, Any], message: str, folder: Path
) -> None:
    config = {name: value for name, value in (PLAIN | change).items() if value is not None}
    with pytest.raises(InvalidParameterError, match=message):
        created(target, config)
    assert list(folder.iterdir()) == []


def test_a_password_is_not_shown() -> None:
    with pytest.raises(InvalidParameterError) as raised:
        created("kubernetes", PLAIN | {"tracking_uri": "https://me:hunter2@host"})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("uri", "message"),
    [("model", "relative path"), ("", "one line"), ("models:/a\nb/1", "one line")],
)
def test_a_model_that_no_container_finds_is_refused(uri: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        created("kubernetes", PLAIN, uri)


def test_a_registered_model_needs_a_server_that_pods_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {name: value for name, value in PLAIN.items() if name != "tracking_uri"}
    with pytest.raises(InvalidParameterError, match="-C tracking_uri="):
        created("kubernetes", config)
    assert created("kubernetes", config, "/models/churn", name="from-image")
    monkeypatch.setenv("SLIPSTREAM_TRACKING_URI", "http://tracking:5000")
    deployment, *_ = created("kubernetes", config)
    entries = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "SLIPSTREAM_TRACKING_URI", "value": "http://tracking:5000"} in entries


# -- the folder -----------------------------------------------------------------------------------------------


def test_create_update_list_get_delete() -> None:
    client = get_deploy_client("kubernetes:manifests")
    client.create_deployment("churn", MODEL, config=PLAIN)
    with pytest.raises(AlreadyExistsError, match="manifests/churn.yaml"):
        client.create_deployment("churn", MODEL, config=PLAIN)

    client.update_deployment("churn", "models:/churn/7", config={"replicas": "3"})
    client.update_deployment("churn", config={"token_secret": "scoring"})
    found = client.get_deployment("churn")
    assert found["model_uri"] == "models:/churn/7"
    expected = PLAIN | {"replicas": 3, "token_secret": "scoring"}
    del expected["auth"]
    assert found["config"] == expected
    assert found["objects"] == ["Deployment/churn", "Service/churn"]
    deployment = next(yaml.safe_load_all(Path("manifests/churn.yaml").read_text("utf-8")))
    assert deployment["spec"]["replicas"] == 3
    assert "--model-uri=models:/churn/7" in deployment["spec"]["template"]["spec"]["containers"][0]["args"]

    assert [entry["name"] for entry in client.list_deployments()] == ["churn"]
    assert get_deploy_client("kserve:manifests").list_deployments() == []
    client.delete_deployment("churn")
    client.delete_deployment("churn")
    assert client.list_deployments() == []
    with pytest.raises(NotFoundError, match="no manifest 'manifests/churn.yaml'"):
        client.get_deployment("churn")


def test_an_update_that_is_refused_leaves_the_file() -> None:
    client = get_deploy_client("kubernetes")
    path = Path(client.create_deployment("churn", MODEL, config=PLAIN)["manifest"])
    before = path.read_bytes()
    with pytest.raises(InvalidParameterError):
        client.update_deployment("churn", config={"cpu": "lots"})
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["churn.yaml"]


@pytest.mark.parametrize(
    "text", ["", "a: [", "kind: Service\n", "- 1\n", "metadata: {annotations: {slipstream/target: kserve}}\n"]
)
def test_a_file_of_somebody_else_is_left_alone(text: str) -> None:
    Path("deployments").mkdir()
    path = Path("deployments/churn.yaml")
    path.write_text(text, encoding="utf-8")
    client = get_deploy_client("kubernetes")
    assert client.list_deployments() == []
    for act in (client.get_deployment, client.delete_deployment, client.update_deployment):
        with pytest.raises(InvalidParameterError, match="left as it is"):
            act("churn")
    assert path.read_text(encoding="utf-8") == text


# -- kubectl --------------------------------------------------------------------------------------------------


@pytest.fixture
def kubectl(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that writes down how it was called; returns that file. `fail` beside it lets it fail."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "kubectl"
    log = folder / "calls"
    program.write_text(
        "#!/usr/bin/env python3\n"
        "import json, pathlib, sys\n"
        f"open({str(log)!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n"
        f"sys.exit('no such cluster' if pathlib.Path({str(folder / 'fail')!r}).exists() else 0)\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return log


def calls(log: Path) -> list[list[str]]:
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


def test_kubectl_is_not_called_unasked(kubectl: Path) -> None:
    client = get_deploy_client("kubernetes")
    client.create_deployment("churn", MODEL, config=PLAIN)
    client.update_deployment("churn", config={"replicas": 2})
    client.delete_deployment("churn")
    assert not kubectl.exists()


@pytest.mark.parametrize(
    ("target", "waiting"),
    [
        ("kubernetes", ["rollout", "status", "deployment/churn", "--timeout=9s", "--namespace=ml"]),
        (
            "kserve",
            ["wait", "inferenceservice/churn", "--for=condition=Ready", "--timeout=9s", "--namespace=ml"],
        ),
    ],
)
def test_apply(kubectl: Path, target: str, waiting: list[str]) -> None:
    client = get_deploy_client(target)
    config = PLAIN | {"namespace": "ml"}
    call = {"apply": "true", "context": "a b;$(id)", "timeout": 9}
    client.create_deployment("churn", MODEL, config=config | call)
    client.delete_deployment("churn", config={"apply": True})
    assert calls(kubectl) == [
        ["--context=a b;$(id)", "apply", "--filename=deployments/churn.yaml"],
        ["--context=a b;$(id)", *waiting],
        ["delete", "--ignore-not-found", "--filename=deployments/churn.yaml"],
    ]
    assert not Path("deployments/churn.yaml").exists()


def test_a_refused_apply_says_so_and_can_be_tried_again(kubectl: Path, folder: Path) -> None:
    client = get_deploy_client("kubernetes")
    (folder / "fail").touch()
    with pytest.raises(ExecutionError, match="written to 'deployments/churn.yaml' .* no such cluster"):
        client.create_deployment("churn", MODEL, config=PLAIN | {"apply": True})
    with pytest.raises(ExecutionError, match="kubectl delete"):
        client.delete_deployment("churn", config={"apply": True})
    assert Path("deployments/churn.yaml").exists()
    (folder / "fail").unlink()
    client.update_deployment("churn", config={"apply": True})
    assert client.get_deployment("churn")["config"] == PLAIN  # how it was applied is none of its settings


def test_apply_without_kubectl(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(MissingDependencyError, match="apply=true needs the program kubectl"):
        get_deploy_client("kserve").create_deployment("churn", MODEL, config=PLAIN | {"apply": True})
