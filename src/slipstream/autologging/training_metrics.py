"""What an estimator of scikit-learn says of the data that it was trained on: metrics, plots, its own picture."""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from slipstream.autologging.recording import Recorder
from slipstream.autologging.warnings_once import attempt

PREFIX = "training_"
_MOST_CLASSES_WITH_NUMBERS = 50
"""A confusion matrix of more classes is drawn in colours only: writing its numbers takes longer than most trainings."""


_LONGEST_NAME_IN_MARGIN = 6
"""Characters of a class's name for which the margins that figures have by themselves are wide enough."""


class _Predictions:
    """What the model predicts for the training data, asked once and used by metrics and plots."""

    def __init__(self, estimator: Any, data: Any) -> None:
        self.estimator = estimator
        self.labels: Any = estimator.predict(data)
        self.scores: Any = None
        self.probabilities: Any = None
        if hasattr(estimator, "predict_proba"):
            self.probabilities = self.scores = estimator.predict_proba(data)
            if getattr(self.scores, "ndim", 0) == 2 and self.scores.shape[1] == 2:
                self.scores = self.scores[:, 1]


def log(
    recorder: Recorder,
    estimator: Any,
    data: Any,
    target: Any,
    weight: Any,
    pos_label: Any,
    *,
    model_id: str | None,
    dataset: Any,
) -> None:
    """Log the metrics of a fitted estimator on its training data, as MLflow names them, and its plots."""
    base: Any = importlib.import_module("sklearn.base")
    metrics: dict[str, Any] = {}
    files: list[tuple[str, Callable[[Path], None]]] = []
    predictions: _Predictions | None = None
    if target is not None:
        with attempt(recorder.flavor, "computing training metrics"):
            if base.is_classifier(estimator):
                predictions = _Predictions(estimator, data)
                for name, function in _classifier_metrics(predictions, target, weight, pos_label):
                    with attempt(recorder.flavor, f"computing {PREFIX}{name}"):
                        metrics[name] = function()
                files = list(_plots(predictions, data, target, weight))
            elif base.is_regressor(estimator):
                predictions = _Predictions.__new__(_Predictions)
                predictions.labels = estimator.predict(data)
                for name, function in _regressor_metrics(predictions.labels, target, weight):
                    with attempt(recorder.flavor, f"computing {PREFIX}{name}"):
                        metrics[name] = function()
                if "mean_squared_error" in metrics:
                    metrics["root_mean_squared_error"] = float(metrics["mean_squared_error"]) ** 0.5
        if hasattr(estimator, "score"):
            with attempt(recorder.flavor, "computing training_score"):
                metrics["score"] = _score(base, estimator, data, target, weight, metrics)
    recorder.add_metrics(
        {PREFIX + name: value for name, value in metrics.items()}, model_id=model_id, dataset=dataset
    )
    files.append(("estimator.html", lambda path: _write_html(estimator, path)))
    recorder.log_files(files)


def _classifier_metrics(
    predictions: _Predictions, target: Any, weight: Any, pos_label: Any
) -> Iterator[tuple[str, Callable[[], Any]]]:
    functions: Any = importlib.import_module("sklearn.metrics")
    average = "weighted" if pos_label is None else "binary"
    for name in ("precision_score", "recall_score", "f1_score"):
        yield (
            name,
            lambda name=name: getattr(functions, name)(
                target, predictions.labels, pos_label=pos_label, average=average, sample_weight=weight
            ),
        )
    yield "accuracy_score", lambda: functions.accuracy_score(target, predictions.labels, sample_weight=weight)
    if predictions.probabilities is not None:
        yield "log_loss", lambda: functions.log_loss(target, predictions.probabilities, sample_weight=weight)
        yield (
            "roc_auc",
            lambda: functions.roc_auc_score(
                target, predictions.scores, average="weighted", sample_weight=weight, multi_class="ovo"
            ),
        )


def _regressor_metrics(labels: Any, target: Any, weight: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    functions: Any = importlib.import_module("sklearn.metrics")
    for name in ("mean_squared_error", "mean_absolute_error", "r2_score"):
        yield name, lambda name=name: getattr(functions, name)(target, labels, sample_weight=weight)


def _score(base: Any, estimator: Any, data: Any, target: Any, weight: Any, metrics: dict[str, Any]) -> Any:
    """Return `estimator.score` for the training data, without predicting again where a metric is the same."""
    method = inspect.unwrap(inspect.getattr_static(cast("Any", type(estimator)), "score"))
    if method is inspect.unwrap(base.ClassifierMixin.score) and "accuracy_score" in metrics:
        return metrics["accuracy_score"]
    if method is inspect.unwrap(base.RegressorMixin.score) and "r2_score" in metrics:
        return metrics["r2_score"]
    if "sample_weight" in inspect.signature(estimator.score).parameters:
        return estimator.score(data, target, sample_weight=weight)
    return estimator.score(data, target)


# -- plots ------------------------------------------------------------------------------------------------


def _plots(
    predictions: _Predictions, data: Any, target: Any, weight: Any
) -> Iterator[tuple[str, Callable[[Path], None]]]:
    if importlib.util.find_spec("matplotlib") is None:
        return
    metrics: Any = importlib.import_module("sklearn.metrics")
    estimator = predictions.estimator
    known = getattr(estimator, "classes_", None)
    classes = sorted(set(target)) if known is None else list(known)

    def confusion(axes: Any) -> None:
        metrics.ConfusionMatrixDisplay.from_predictions(
            target,
            predictions.labels,
            labels=known,
            sample_weight=weight,
            normalize="true",
            cmap="Blues",
            include_values=has_numbers,
            text_kw={"fontsize": size} if has_numbers else None,
            ax=axes,
        )
        axes.set_title("Normalized confusion matrix")

    size = min(8.0, 50.0 / len(classes))
    has_numbers = len(classes) <= _MOST_CLASSES_WITH_NUMBERS
    is_long = max(len(str(each)) for each in classes) > _LONGEST_NAME_IN_MARGIN
    yield f"{PREFIX}confusion_matrix.png", lambda path: _draw(path, confusion, size, fits=not is_long)
    if len(classes) != 2:
        return

    def curve(display: Any, title: str) -> Callable[[Any], None]:
        def draw(axes: Any) -> None:
            scores = predictions.scores
            if scores is None:
                scores = estimator.decision_function(data)
            display.from_predictions(
                target,
                scores,
                sample_weight=weight,
                pos_label=classes[1],
                name=type(estimator).__name__,
                ax=axes,
            )
            axes.set_title(title)

        return draw

    roc = curve(metrics.RocCurveDisplay, "ROC curve")
    precision = curve(metrics.PrecisionRecallDisplay, "Precision recall curve")
    yield f"{PREFIX}roc_curve.png", lambda path: _draw(path, roc)
    yield f"{PREFIX}precision_recall_curve.png", lambda path: _draw(path, precision)


def _draw(path: Path, draw: Callable[[Any], None], size: float = 8.0, *, fits: bool = True) -> None:
    """Draw on a figure of our own: pyplot's figures and settings are the user's, and not for several threads.

    Margins that are measured cost as much as the drawing, so it is done only where texts may not fit.
    """
    figures: Any = importlib.import_module("matplotlib.figure")
    figure = figures.Figure(figsize=(6.0, 4.0), layout=None if fits else "tight")
    axes = figure.add_subplot()
    draw(axes)
    axes.title.set_size(10.0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_size(8.0)
        axis.set_tick_params(labelsize=size)
    legend = axes.get_legend()
    if legend is not None:
        for text in legend.get_texts():
            text.set_size(size)
    if fits:
        figure.subplots_adjust(left=0.12, right=0.95, bottom=0.12, top=0.92)
    figure.savefig(path, format="png", dpi=175, pil_kwargs={"compress_level": 1})


def _write_html(estimator: Any, path: Path) -> None:
    picture: str = importlib.import_module("sklearn.utils").estimator_html_repr(estimator)
    path.write_text(
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="UTF-8"></head>\n<body>\n{picture}\n</body>\n</html>\n',
        encoding="utf-8",
    )
