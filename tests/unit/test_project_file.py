"""MLproject files: every key, and every wrong value."""

from pathlib import Path

import pytest

from slipstream.errors import ExecutionError, InvalidParameterError
from slipstream.projects.project import load_project


def project(folder: Path, text: str, name: str = "MLproject"):
    (folder / name).write_text(text, encoding="utf-8")
    return load_project(folder)


@pytest.mark.parametrize("name", ["MLproject", "mlproject", "MLPROJECT", "MlProject"])
def test_the_name_of_the_file_may_be_spelt_in_any_case(tmp_path: Path, name: str) -> None:
    assert project(tmp_path, "name: iris", name).name == "iris"


def test_entry_points_with_both_forms_of_parameters(tmp_path: Path) -> None:
    loaded = project(
        tmp_path,
        """
        name: tutorial
        entry_points:
          main:
            parameters:
              data: path
              alpha: {type: float, default: 0.1}
              epochs: {type: int, default: 5}
              free: {default: yes please}
            command: "python train.py {data} --alpha {alpha}"
          check: {command: python check.py}
        """,
    )
    main = loaded.entry_point("main")
    assert [(each.name, each.type, each.default) for each in main.parameters] == [
        ("data", "path", None),
        ("alpha", "float", "0.1"),
        ("epochs", "int", "5"),
        ("free", "string", "yes please"),
    ]
    assert main.words() == ["python", "train.py", "{data}", "--alpha", "{alpha}"]
    assert loaded.entry_point("check").words() == ["python", "check.py"]


def test_a_folder_without_file_has_its_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/zsh")
    for name in ("a.py", "b.sh", "c.R", "-d.py", "e{x}.py", "f.txt"):
        (tmp_path / name).touch()
    loaded = load_project(tmp_path)
    assert loaded.entry_point("a.py").words() == ["python", "a.py"]
    assert loaded.entry_point("b.sh").words() == ["/bin/zsh", "b.sh"]
    assert loaded.entry_point("c.R").words() == ["Rscript", "-e", "mlflow::mlflow_source('c.R')", "--args"]
    assert loaded.entry_point("-d.py").words() == ["python", "./-d.py"]
    assert loaded.entry_point("e{x}.py").build({}, tmp_path, tmp_path).argv == ["python", "e{x}.py"]
    for missing in ("main", "f.txt", "g.py"):
        with pytest.raises(ExecutionError, match=missing):
            loaded.entry_point(missing)


def test_scripts_outside_of_the_project_are_refused(tmp_path: Path) -> None:
    inside = tmp_path / "project"
    inside.mkdir()
    (tmp_path / "x.py").touch()
    with pytest.raises(InvalidParameterError, match="outside"):
        load_project(inside).entry_point("../x.py")


@pytest.mark.parametrize(
    ("files", "text", "kind", "file"),
    [
        (["env.yaml"], "python_env: env.yaml", "python_env", "env.yaml"),
        (["c.yaml", "python_env.yaml"], "conda_env: c.yaml", "conda_env", "c.yaml"),
        (["python_env.yaml", "conda.yaml", "requirements.txt"], "", "python_env", "python_env.yaml"),
        (["conda.yaml", "requirements.txt"], "", "conda_env", "conda.yaml"),
        (["requirements.txt"], "", "python_env", "requirements.txt"),
        (["requirements.txt"], "docker_env: {image: x}", None, None),
        ([], "name: x", None, None),
    ],
)
def test_the_environment_file_is_the_declared_or_the_usual_one(
    tmp_path: Path, files: list[str], text: str, kind: str | None, file: str | None
) -> None:
    for name in files:
        (tmp_path / name).touch()
    loaded = project(tmp_path, text)
    assert loaded.environment_kind == kind
    assert loaded.environment_file == (None if file is None else tmp_path / file)


def test_docker_and_spark_are_read_though_they_cannot_run(tmp_path: Path) -> None:
    docker = project(
        tmp_path, "docker_env: {image: img, volumes: ['/a:/b'], environment: [[NEW, value], COPIED]}"
    ).docker
    assert docker is not None
    assert (docker.image, docker.volumes, docker.environment) == (
        "img",
        ("/a:/b",),
        (("NEW", "value"), "COPIED"),
    )
    spark = project(tmp_path, "databricks_spark_job: {python_file: a.py, parameters: [x]}")
    assert spark.spark is not None
    assert spark.spark.python_file == "a.py"
    with pytest.raises(ExecutionError, match="Databricks"):
        spark.entry_point("main")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[1, 2]", r"\[1, 2\]"),
        ("a: [", "not valid YAML"),
        ("entry_points: 7", "'entry_points'.*7"),
        ("entry_points: {main: python x.py}", "'main'.*python x.py"),
        ("entry_points: {main: {}}", "'command' of entry point 'main'.*None"),
        ("entry_points: {main: {command: [a]}}", "'command' of entry point 'main'"),
        (
            "entry_points: {main: {command: a, parameters: [x]}}",
            r"'parameters' of entry point 'main'.*\['x'\]",
        ),
        ("entry_points: {main: {command: a, parameters: {p: 3}}}", "'p' of entry point 'main'.*3"),
        ("entry_points: {main: {command: a, parameters: {p: {type: 3}}}}", "'p'.*3"),
        ("entry_points: {main: {command: a, parameters: {p: {default: [1]}}}}", r"'p'.*\[1\]"),
        (
            "entry_points: {main: {command: a, parameters: {p: {type: float, default: x}}}}",
            "'p'.*number.*'x'",
        ),
        ("python_env: missing.yaml", "'python_env'.*missing.yaml"),
        ("conda_env: missing.yaml", "'conda_env'.*missing.yaml"),
        ("python_env: [a]", "'python_env'.*a"),
        ("python_env: ../env.yaml", "in the project.*../env.yaml"),
        ("docker_env: {image: x}\nconda_env: y", "only one environment.*conda_env and docker_env"),
        ("docker_env: img", "'docker_env'.*img"),
        ("docker_env: {volumes: []}", "'image'.*None"),
        ("docker_env: {image: x, volumes: /a}", "'volumes'.*/a"),
        ("docker_env: {image: x, environment: X}", "'environment'.*X"),
        ("docker_env: {image: x, environment: [[A, B, C]]}", "'environment'.*'C'"),
        ("databricks_spark_job: {}", "'python_file' or 'entry_points'"),
        ("databricks_spark_job: {python_file: a.py}\ndocker_env: {image: x}", "excludes 'docker_env'"),
        (
            "databricks_spark_job: {}\nentry_points: {main: {command: a, parameters: {p: path}}}",
            "no parameter of type path.*'p'",
        ),
    ],
)
def test_wrong_values_are_named_with_their_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"(?s){named}"):
        project(tmp_path, text)


def test_a_misspelt_key_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert project(tmp_path, "entrypoints: {}").entry_points == {}
    assert "Did you mean 'entry_points'?" in capsys.readouterr().err


def test_an_entry_point_that_needs_a_shell_does_not_stop_the_others(tmp_path: Path) -> None:
    loaded = project(tmp_path, "entry_points: {main: {command: a}, other: {command: 'a | b'}}")
    assert loaded.entry_point("main").words() == ["a"]
    with pytest.raises(InvalidParameterError, match="pipe"):
        loaded.entry_point("other").words()


def test_two_environment_files_are_ambiguous_unless_one_is_named(tmp_path: Path) -> None:
    for name in ("python_env.yaml", "conda.yaml", "requirements.txt"):
        (tmp_path / name).touch()
    conda = tmp_path / "conda.yaml"
    assert project(tmp_path, "").passed_over == conda
    assert project(tmp_path, "python_env: python_env.yaml").passed_over is None
    assert project(tmp_path, "conda_env: conda.yaml").passed_over is None
    (tmp_path / "python_env.yaml").unlink()
    assert project(tmp_path, "").passed_over is None, "conda.yaml itself is used"
