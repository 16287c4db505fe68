"""Train one classifier on scikit-learn's handwritten digits, epoch by epoch, and track all of it.

Run it with `slipstream run . -P model=mlp -P epochs=20`, or plainly with `python train.py --model mlp`.
"""
# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportReturnType=false
# scikit-learn has no types; a script that people read as an example should not carry casts for that.
# ruff: noqa: INP001  # a project is a folder of scripts, no package

import argparse
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, classification_report, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from tqdm import tqdm

import slipstream

TARGET = "digit"


def read_digits() -> pd.DataFrame:
    """Return 1,797 scanned digits, one a row: 8 x 8 pixels from 0 to 16, and which digit it is."""
    digits: Any = load_digits(as_frame=True)
    return digits.frame.rename(columns={"target": TARGET})


def split(frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return what to train on, what to choose the best model by, and what to judge it by."""
    rest, held_out = train_test_split(frame, test_size=0.2, random_state=seed, stratify=frame[TARGET])
    training, validation = train_test_split(rest, test_size=0.25, random_state=seed, stratify=rest[TARGET])
    return training, validation, held_out


class Logistic:
    """Logistic regression by stochastic gradient descent: an epoch is one pass over the images."""

    def __init__(self, seed: int) -> None:
        self.classifier = SGDClassifier(loss="log_loss", alpha=1e-4, random_state=seed)

    def train_epoch(self, pixels: Any, digits: Any) -> None:
        self.classifier.partial_fit(pixels, digits, classes=range(10))


class Perceptron:
    """A neural network with one hidden layer: an epoch is one pass in small batches."""

    def __init__(self, seed: int) -> None:
        self.classifier = MLPClassifier((64,), batch_size=32, learning_rate_init=0.003, random_state=seed)

    def train_epoch(self, pixels: Any, digits: Any) -> None:
        self.classifier.partial_fit(pixels, digits, classes=range(10))


class Boosting:
    """Gradient-boosted trees: an epoch adds one tree for each digit."""

    def __init__(self, seed: int) -> None:
        self.classifier = GradientBoostingClassifier(
            n_estimators=0, learning_rate=0.2, max_features="sqrt", warm_start=True, random_state=seed
        )

    def train_epoch(self, pixels: Any, digits: Any) -> None:
        self.classifier.set_params(n_estimators=self.classifier.n_estimators + 1)
        self.classifier.fit(pixels, digits)


MODELS = {"logistic": Logistic, "mlp": Perceptron, "boosting": Boosting}


def train(name: str, epochs: int, seed: int) -> None:
    """Train a model, log its curve, and log it with all that is needed to judge and to use it."""
    training, validation, held_out = split(read_digits(), seed)
    pixels = [column for column in training.columns if column != TARGET]
    learner = MODELS[name](seed)
    slipstream.log_params(
        {f"classifier.{key}": value for key, value in learner.classifier.get_params().items()}
    )
    log_dataset(training, "training")
    log_dataset(held_out, "evaluation")

    scaler = MinMaxScaler().fit(training[pixels])
    inputs, targets = scaler.transform(training[pixels]), training[TARGET]
    checks = scaler.transform(validation[pixels])
    for epoch in tqdm(range(epochs), desc=f"training {name:8}", unit="epoch", disable=None):
        learner.train_epoch(inputs, targets)
        chances = learner.classifier.predict_proba(checks)
        slipstream.log_metrics(
            {
                "train_loss": log_loss(targets, learner.classifier.predict_proba(inputs), labels=range(10)),
                "validation_loss": log_loss(validation[TARGET], chances, labels=range(10)),
                "validation_accuracy": accuracy_score(validation[TARGET], chances.argmax(axis=1)),
            },
            step=epoch,
        )

    # What is logged takes plain pixels: the scaling is part of the model.
    model = make_pipeline(scaler, learner.classifier)
    predicted = model.predict(held_out[pixels])
    info = slipstream.sklearn.log_model(
        model,
        name="model",
        signature=slipstream.models.infer_signature(held_out[pixels], predicted),
        input_example=held_out[pixels].head(3),
    )
    slipstream.log_metric(
        "test_accuracy", accuracy_score(held_out[TARGET], predicted), step=epochs, model_id=info.model_id
    )
    log_report(held_out, predicted, name)


def log_dataset(frame: pd.DataFrame, context: str) -> None:
    """Log which rows a run has seen: their digest, schema and number, not the rows themselves."""
    slipstream.log_input(slipstream.data.from_pandas(frame, targets=TARGET, name="digits"), context=context)


def log_report(held_out: pd.DataFrame, predicted: Any, name: str) -> None:
    """Log the held-out images and how the model does on them, as text and as a picture."""
    slipstream.log_text(held_out.to_csv(index=False), "held_out.csv")
    slipstream.log_text(
        str(classification_report(held_out[TARGET], predicted, zero_division=0)), "report.txt"
    )
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    ConfusionMatrixDisplay.from_predictions(held_out[TARGET], predicted, ax=axes, colorbar=False)
    axes.set_title(f"{name}: {len(held_out)} held-out digits")
    slipstream.log_figure(figure, "confusion_matrix.png")


def main() -> None:
    """Read the arguments; values may be written as 30.0, since a project's numbers are floats."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="logistic")
    parser.add_argument("--epochs", type=float, default=30)
    parser.add_argument("--seed", type=float, default=7)
    arguments = parser.parse_args()
    with slipstream.start_run():
        train(arguments.model, int(arguments.epochs), int(arguments.seed))


if __name__ == "__main__":
    main()
