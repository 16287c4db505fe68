"""Libraries with an MLflow callback or logger of their own: their scripts, unchanged, and what is tracked then."""

from collections.abc import Callable
from typing import Any

import pytest

from slipstream import SlipstreamClient
from slipstream.entities import Run

# Importing torch takes the most of the time here, so its libraries are run once each.
only_server = pytest.mark.parametrize("tracking_uri", ["server"], indirect=True)

# Said at the end of each script: the real mlflow, which is installed here, was not loaded.
ONLY_OURS = """
import sys
import slipstream
assert sys.modules["mlflow"].log_metric is slipstream.log_metric
assert not [m for m in list(sys.modules.values()) if "site-packages/mlflow/" in str(getattr(m, "__file__", ""))]
"""


def runs_of(client: SlipstreamClient, experiment: str, order: str = "start_time") -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id], order_by=[order]))


TRANSFORMERS = """
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

class Sentences(torch.utils.data.Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        words = torch.tensor([index % 7, 1, 2, 3])
        return {"input_ids": words, "attention_mask": torch.ones_like(words), "labels": torch.tensor(index % 2)}

config = BertConfig(vocab_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                    intermediate_size=8, max_position_embeddings=8)
trainer = Trainer(
    model=BertForSequenceClassification(config),
    args=TrainingArguments(output_dir="out", max_steps=4, logging_steps=1, save_steps=4, report_to=["mlflow"],
                           run_name="tiny", per_device_train_batch_size=4, use_cpu=True, disable_tqdm=True),
    train_dataset=Sentences(),
)
trainer.train()
"""


@only_server
@pytest.mark.needs("torch", "transformers", "accelerate")
def test_transformers_callback(train: Callable[..., str], client: SlipstreamClient) -> None:
    train(
        TRANSFORMERS + ONLY_OURS,
        MLFLOW_EXPERIMENT_NAME="bert",
        MLFLOW_TAGS='{"team": "nlp"}',
        HF_MLFLOW_LOG_ARTIFACTS="1",
    )

    (run,) = runs_of(client, "bert")
    assert (run.info.run_name, run.info.status) == ("tiny", "FINISHED")
    assert run.data.params["max_steps"] == "4"
    assert run.data.params["hidden_size"] == "8"
    assert run.data.tags["team"] == "nlp"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3, 4]
    (output,) = run.outputs.model_outputs  # the checkpoint, as a pyfunc model
    model = client.get_logged_model(output.model_id)
    assert (model.name, model.status) == ("checkpoint-4", "READY")


LIGHTNING = """
import torch
import lightning
from lightning.pytorch.loggers import MLFlowLogger

class Line(lightning.LightningModule):
    def __init__(self, lr=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(8, 2)), batch_size=2)
logger = MLFlowLogger(experiment_name="line", run_name="first", tags={"team": "vision"}, log_model=True)
trainer = lightning.Trainer(max_epochs=2, logger=logger, log_every_n_steps=1, accelerator="cpu",
                            enable_progress_bar=False, enable_model_summary=False)
trainer.fit(Line(), data)
"""


@only_server
@pytest.mark.needs("torch", "lightning")
def test_lightning_logger(train: Callable[..., str], client: SlipstreamClient) -> None:
    train(LIGHTNING + ONLY_OURS)

    (run,) = runs_of(client, "line")
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.data.params == {"lr": "0.1"}
    assert run.data.tags["team"] == "vision"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "loss")] == list(range(8))
    folders = [each.path for each in client.list_artifacts(run.info.run_id)]
    assert folders == ["epoch=1-step=8"]
    files = {each.path.rpartition("/")[2] for each in client.list_artifacts(run.info.run_id, folders[0])}
    assert {"aliases.txt", "epoch=1-step=8.ckpt", "metadata.yaml"} <= files


OPTUNA = """
import warnings
import optuna
from optuna.integration import MLflowCallback

warnings.simplefilter("ignore")
callback = MLflowCallback(metric_name="square", mlflow_kwargs={"nested": True})

@callback.track_in_mlflow()
def objective(trial):
    import mlflow
    x = trial.suggest_float("x", -1, 1)
    mlflow.log_metric("inside", x)
    return x * x

study = optuna.create_study(study_name="parabola")
study.optimize(objective, n_trials=3, callbacks=[callback])
"""


@pytest.mark.needs("optuna", "optuna_integration")
def test_optuna_callback(train: Callable[..., str], client: SlipstreamClient) -> None:
    train(OPTUNA + ONLY_OURS)

    runs = runs_of(client, "parabola")
    assert [run.info.run_name for run in runs] == ["0", "1", "2"]
    for run in runs:
        x = float(run.data.params["x"])
        assert run.info.status == "FINISHED"
        assert run.data.metrics == {"inside": x, "square": x * x}
        assert run.data.tags["direction"] == "MINIMIZE"


ACCELERATE = """
from accelerate import Accelerator
from accelerate.utils import LoggerType

accelerator = Accelerator(log_with=LoggerType.MLFLOW, project_dir="logs", cpu=True)
accelerator.init_trackers("speed", config={"lr": 0.1}, init_kwargs={"mlflow": {"run_name": "first"}})
for step in range(3):
    accelerator.log({"loss": 1 / (step + 1)}, step=step)
accelerator.end_training()
"""


@only_server
@pytest.mark.needs("torch", "accelerate")
def test_accelerate_tracker(train: Callable[..., str], client: SlipstreamClient) -> None:
    train(ACCELERATE + ONLY_OURS)

    (run,) = runs_of(client, "speed")
    assert (run.info.run_name, run.info.status, run.data.params) == ("first", "FINISHED", {"lr": "0.1"})
    assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == [1, 1 / 2, 1 / 3]


BOOSTING = """
import numpy
import {library}
import mlflow
from mlflow.models import infer_signature

inputs = numpy.random.default_rng(0).random((60, 3))
labels = (inputs[:, 0] > 0.5).astype(int)
mlflow.set_experiment("{library}")
with mlflow.start_run(run_name="booster") as run:
    mlflow.log_params(PARAMS)
    booster = train(inputs, labels)
    booster.save_model("booster.json")
    mlflow.log_artifact("booster.json", artifact_path="model")
    mlflow.set_tag("signature", infer_signature(inputs, predict(booster, inputs)).inputs.inputs[0].type)
"""
XGBOOST = """
import xgboost
import mlflow

PARAMS = {"max_depth": 2, "objective": "binary:logistic"}

class Log(xgboost.callback.TrainingCallback):
    def after_iteration(self, model, epoch, evals_log):
        for data, metrics in evals_log.items():
            mlflow.log_metrics({f"{data}-{name}": values[-1] for name, values in metrics.items()}, step=epoch)
        return False

def train(inputs, labels):
    data = xgboost.DMatrix(inputs, labels)
    return xgboost.train(PARAMS, data, 5, evals=[(data, "train")], callbacks=[Log()], verbose_eval=False)

def predict(booster, inputs):
    return booster.predict(xgboost.DMatrix(inputs))
"""
LIGHTGBM = """
import lightgbm
import mlflow

PARAMS = {"max_depth": 2, "objective": "binary", "verbose": -1}

def log(env):
    for data, name, value, _ in env.evaluation_result_list:
        mlflow.log_metric(f"{data}-{name}", value, step=env.iteration)

def train(inputs, labels):
    data = lightgbm.Dataset(inputs, labels)
    return lightgbm.train(PARAMS, data, 5, valid_sets=[data], callbacks=[log])

def predict(booster, inputs):
    return booster.predict(inputs)
"""


@pytest.mark.parametrize(
    ("script", "library", "metric"),
    [
        pytest.param(XGBOOST, "xgboost", "train-logloss", marks=pytest.mark.needs("xgboost")),
        pytest.param(LIGHTGBM, "lightgbm", "training-binary_logloss", marks=pytest.mark.needs("lightgbm")),
    ],
)
def test_boosting_scripts(
    script: str, library: str, metric: str, train: Callable[..., str], client: SlipstreamClient
) -> None:
    train(script + BOOSTING.replace("{library}", library) + ONLY_OURS)

    (run,) = runs_of(client, library)
    points: list[Any] = client.get_metric_history(run.info.run_id, metric)
    assert [point.step for point in points] == [0, 1, 2, 3, 4]
    assert points[-1].value < points[0].value
    assert run.data.params["max_depth"] == "2"
    assert run.data.tags["signature"] == "float64"
    assert [each.path for each in client.list_artifacts(run.info.run_id, "model")] == ["model/booster.json"]
