"""Trainings by several processes: one run, whatever way the processes are started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.autologging.conftest import require_libraries

import slipstream

PROGRAM = """
import sys

import lightning.pytorch as lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

import slipstream


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch, index):
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss, on_epoch=True, on_step=False, sync_dist=True)
        return loss

    def validation_step(self, batch, index):
        self.log("val_loss", self.layer(batch[0]).pow(2).mean(), sync_dist=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


if __name__ == "__main__":
    slipstream.set_tracking_uri(sys.argv[2])
    slipstream.set_experiment("processes")
    slipstream.pytorch.autolog(log_models=False)
    data = DataLoader(TensorDataset(torch.rand(8, 4)), batch_size=2)
    lightning.Trainer(
        max_epochs=2, accelerator="cpu", devices=2, strategy=sys.argv[1], logger=False,
        enable_progress_bar=False, enable_model_summary=False,
    ).fit(Model(), data, data)
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn", "ddp_fork"])
def test_lightning_in_two_processes_is_one_run(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_libraries("lightning", "torch")
    if strategy != "ddp_spawn":  # the way that once failed, with every `make test`; each takes its time
        require_libraries("pytorch_lightning")
    program = tmp_path / "train.py"
    program.write_text(PROGRAM)
    uri = f"sqlite:///{tmp_path}/tracking.db"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(program), strategy, uri],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    client = slipstream.SlipstreamClient(uri)
    experiment = client.get_experiment_by_name("processes")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    run_id = run.info.run_id
    assert run.info.status == "FINISHED"
    assert run.data.params["epochs"] == "2"
    for key in ("loss", "val_loss"):
        assert [point.step for point in client.get_metric_history(run_id, key)] == [0, 1]
    assert "checkpoints" in {each.path for each in client.list_artifacts(run_id)}
