"""Write what other trackers keep, with those trackers themselves, for tests/moving/test_foreign_sources.py.

    python tools/make_foreign_sources.py tests/moving/foreign

It needs an environment of its own with wandb, trackio, tensorboard, tensorboardX and Pillow. Beside each source it puts what
was logged, as JSON: the truth that an import is compared with. Nothing is sent anywhere.
"""

import json
import math
import os
import shutil
import sys
from pathlib import Path
from typing import Any

POINTS = 12


def main(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_tensorboard(folder / "tensorboard")
    write_wandb(folder / "wandb_runs")
    write_trackio(folder / "trackio")


def keep(folder: Path, truth: Any) -> None:
    folder.with_suffix(".json").write_text(json.dumps(truth, indent=1, sort_keys=True) + "\n")


# -- TensorBoard ----------------------------------------------------------------------------------------


def write_tensorboard(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.plugins.histogram import summary_v2 as histogram
    from tensorboard.plugins.hparams import summary_v2 as hparams
    from tensorboard.plugins.image.metadata import create_summary_metadata as image_metadata
    from tensorboard.plugins.scalar import summary_v2 as scalar
    from tensorboard.plugins.text import summary_v2 as text
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util import tensor_util
    from tensorboardX import SummaryWriter

    # TensorFlow 2's kind of values: tensors with the name of a plugin.
    writer = EventFileWriter(str(folder / "second" / "train"))

    def add(summary: Any, step: int, seconds: float) -> None:
        event = event_pb2.Event(wall_time=seconds, step=step)
        event.summary.CopyFrom(summary)
        writer.add_event(event)

    begin = 1_700_000_000.25
    add(
        hparams.hparams_pb(
            {"rate": 0.1, "layers": 3, "act": "relu", "fast": True}, trial_id="t", start_time_secs=begin
        ),
        0,
        begin,
    )
    for step in range(POINTS):
        add(scalar.scalar_pb("loss (train)", 1 / (step + 1)), step, begin + step)
    add(scalar.scalar_pb("nothing", math.nan), 5, begin + 20)
    add(text.text_pb("note", "It **works**."), 3, begin + 21)
    add(histogram.histogram_pb("weights", [1.0, 2.0, 3.0]), 0, begin + 22)
    picture = summary_pb2.Summary.Value(
        tag="picture",
        tensor=tensor_util.make_tensor_proto([b"2", b"1", _png(), _png()]),
        metadata=image_metadata(None, None),
    )
    add(summary_pb2.Summary(value=[picture]), 4, begin + 23)
    add(hparams_end(begin + 24), 0, begin + 24)
    writer.close()

    # TensorFlow 1's kind, as most of PyTorch's users have it; two files, since the run went on.
    for begun in (0, POINTS):
        classic = SummaryWriter(str(folder / "first"), filename_suffix=f".{begun}")
        for step in range(begun, begun + POINTS):
            classic.add_scalar("loss", 1 / (step + 1), step, walltime=begin + step)
        classic.add_text("note", f"from {begun}", begun, walltime=begin)
        classic.close()

    truth = {}
    for run in ("first", "second/train"):
        accumulator = EventAccumulator(str(folder / run), size_guidance={"scalars": 0, "tensors": 0})
        accumulator.Reload()
        points = [
            [tag, each.step, each.wall_time, each.value]
            for tag in accumulator.Tags()["scalars"]
            for each in accumulator.Scalars(tag)
        ]
        points += [
            [tag, each.step, each.wall_time, float(tensor_util.make_ndarray(each.tensor_proto))]
            for tag in ("loss (train)", "nothing")
            if tag in accumulator.Tags()["tensors"]
            for each in accumulator.Tensors(tag)
        ]
        truth[run] = sorted(points, key=str)
    keep(folder, truth)


def hparams_end(seconds: float) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2
    from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS

    end = plugin_data_pb2.SessionEndInfo(status=STATUS_SUCCESS, end_time_secs=seconds)
    content = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=end))
    value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=content, tensor=metadata.NULL_TENSOR)
    return Summary(value=[value])


def _png() -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (2, 1), (255, 0, 0)).save(file, "png")
    return file.getvalue()


# -- W&B ------------------------------------------------------------------------------------------------


def write_wandb(folder: Path) -> None:
    import wandb

    os.environ |= {
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "WANDB_DISABLE_GIT": "true",
        "WANDB_CONSOLE": "wrap_raw",
    }
    folder.mkdir()
    settings = wandb.Settings(
        x_stats_sampling_interval=0.1, host="machine", program="train.py", x_disable_meta=True
    )
    truth: dict[str, Any] = {}

    def log(run: Any, begun: int) -> list[Any]:
        logged: list[Any] = []
        for step in range(begun, begun + POINTS):
            values = {
                "loss": 1 / (step + 1),
                "val/acc": step,
                "inner": {"a": step * 0.5, "b": math.nan},
                "ok": True,
                "far": -math.inf,
            }
            run.log(values, step=step)
            logged += [["loss", step, 1 / (step + 1)], ["val/acc", step, step], ["inner.a", step, step * 0.5]]
            logged += [["inner.b", step, "nan"], ["ok", step, 1], ["far", step, "-inf"]]
        return logged

    config = {"rate": 0.1, "model": {"depth": 3, "act": "relu"}, "sizes": [1, 2], "none": None, "on": True}
    run = wandb.init(project="vision", id="resumed1", name="first", config=config, tags=["a", "b"], notes="A note.",
                     group="g", job_type="train", dir=folder, settings=settings)  # fmt: skip
    truth["resumed1"] = log(run, 0)
    run.log(
        {"word": "hello", "picture": wandb.Image(_picture()), "counts": wandb.Histogram([1, 2, 3])},
        step=POINTS,
    )
    run.config.update({"late": 5})
    run.summary["best"] = 0.25
    print("a line of the console")
    run.finish()
    run = wandb.init(project="vision", id="resumed1", resume="allow", dir=folder, settings=settings)
    truth["resumed1"] += log(run, POINTS + 1)
    run.finish()
    run = wandb.init(project="language", id="failed01", name="second", dir=folder, settings=settings)
    truth["failed01"] = log(run, 0)
    # Records longer than a block of the file, so that they are continued.
    run.config.update({"long": "x" * 100_000})
    run.finish(exit_code=3)
    for each in folder.rglob("*"):
        if each.is_symlink() or (each.suffix == ".log" and each.name.startswith("debug")):
            each.unlink()
    keep(folder, truth)


def _picture() -> Any:
    from PIL import Image

    return Image.new("RGB", (2, 1), (255, 0, 0))


# -- Trackio --------------------------------------------------------------------------------------------


def write_trackio(folder: Path) -> None:
    folder.mkdir()
    os.environ |= {"TRACKIO_DIR": str(folder)}
    import trackio

    truth: dict[str, Any] = {}
    for name in ("first", "second"):
        trackio.init(project="vision", name=name, config={"rate": 0.1, "model": {"depth": 3}}, embed=False)
        truth[name] = []
        for step in range(POINTS):
            trackio.log(
                {
                    "loss": 1 / (step + 1),
                    "nothing": math.nan,
                    "far": math.inf,
                    "inner": {"a": step},
                    "word": "hello",
                }
            )
            truth[name] += [
                ["loss", step, 1 / (step + 1)],
                ["nothing", step, "nan"],
                ["far", step, "inf"],
                ["inner.a", step, step],
            ]
        if name == "first":
            trackio.log({"picture": trackio.Image(_picture())}, step=POINTS)
        trackio.finish()
    from trackio.sqlite_storage import SQLiteStorage

    parquet = folder.with_name("trackio_parquet")
    SQLiteStorage.export_to_parquet()
    parquet.mkdir()
    for each in folder.glob("*.parquet"):
        each.rename(parquet / each.name)
    import sqlite3

    with sqlite3.connect(folder / "vision.db") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
    connection.close()
    for each in (*folder.glob("*.lock"), *folder.glob("*-wal"), *folder.glob("*-shm")):
        each.unlink()
    keep(folder, truth)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
