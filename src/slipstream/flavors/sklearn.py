"""scikit-learn models, without pickle unless asked for.

The default format is skops, which builds objects only of types that it is told to trust. Which types those
are is never taken from the model itself: this file's list of scikit-learn's own harmless types counts, and
what the caller adds. So decision trees, forests and boosting load without pickle, and a crafted file cannot
vouch for itself.
"""

import importlib
import io
import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

from slipstream.errors import InvalidParameterError, MissingDependencyError, UntrustedModelError
from slipstream.flavors import tree_checks
from slipstream.models import trust
from slipstream.models.flavor import Predictor, Saved
from slipstream.models.locations import inside
from slipstream.models.requirements import modules_of
from slipstream.models.saving import bind

SERIALIZATION_FORMAT_SKOPS = "skops"
SERIALIZATION_FORMAT_PICKLE = "pickle"
SERIALIZATION_FORMAT_CLOUDPICKLE = "cloudpickle"
SUPPORTED_SERIALIZATION_FORMATS = (
    SERIALIZATION_FORMAT_PICKLE,
    SERIALIZATION_FORMAT_CLOUDPICKLE,
    SERIALIZATION_FORMAT_SKOPS,
)
PREDICT_FUNCTIONS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_joint_log_proba",
    "transform",
    "score",
)

VETTED_TYPES = frozenset(
    {
        # Plain containers of arrays and numbers; `tree_checks` looks at those that compiled code indexes.
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.compose._column_transformer._RemainderColsList",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.utils._bunch.Bunch",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csr.csr_matrix",
        "scipy.sparse._csc.csc_matrix",
        "numpy.dtype",
        # Functions of their arguments alone.
        "numpy.max",
        "numpy.mean",
        "numpy.median",
        "numpy.min",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._mutual_info.mutual_info_regression",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        *(
            f"sklearn.gaussian_process.kernels.{name}"
            for name in [
                "CompoundKernel",
                "ConstantKernel",
                "DotProduct",
                "ExpSineSquared",
                "Exponentiation",
                "Matern",
                "PairwiseKernel",
                "Product",
                "RBF",
                "RationalQuadratic",
                "Sum",
                "WhiteKernel",
            ]
        ),
        *(
            f"sklearn.model_selection._split.{name}"
            for name in [
                "GroupKFold",
                "GroupShuffleSplit",
                "KFold",
                "LeaveOneOut",
                "PredefinedSplit",
                "RepeatedKFold",
                "RepeatedStratifiedKFold",
                "ShuffleSplit",
                "StratifiedGroupKFold",
                "StratifiedKFold",
                "StratifiedShuffleSplit",
                "TimeSeriesSplit",
            ]
        ),
        *(
            f"sklearn._loss.loss.{name}"
            for name in [
                "AbsoluteError",
                "ExponentialLoss",
                "HalfBinomialLoss",
                "HalfGammaLoss",
                "HalfMultinomialLoss",
                "HalfPoissonLoss",
                "HalfSquaredError",
                "HalfTweedieLoss",
                "HalfTweedieLossIdentity",
                "HuberLoss",
                "PinballLoss",
            ]
        ),
        *(
            f"sklearn.metrics._dist_metrics.{name}{bits}"
            for bits in ("32", "64")
            for name in [
                "BrayCurtisDistance",
                "CanberraDistance",
                "ChebyshevDistance",
                "DiceDistance",
                "EuclideanDistance",
                "HammingDistance",
                "HaversineDistance",
                "JaccardDistance",
                "MahalanobisDistance",
                "ManhattanDistance",
                "MinkowskiDistance",
                "RogersTanimotoDistance",
                "RussellRaoDistance",
                "SEuclideanDistance",
                "SokalSneathDistance",
            ]
        ),
    }
)
"""Types of scikit-learn and its two foundations that skops does not trust by itself, and that are safe to
build from a file: none of them runs, imports or opens anything that the file names."""


COMPILED_TYPES = frozenset({"sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree"})
"""Types whose compiled code believes every number in the file. Nobody need name them to save a model, and what this
user saved loads; of strangers they need trust."""


class SklearnFlavor:
    name: ClassVar[str] = "sklearn"
    requirements: ClassVar[tuple[str, ...]] = ("numpy", "pandas", "scikit-learn", "scipy")
    model_argument: ClassVar[str] = "sk_model"
    options: ClassVar[frozenset[str]] = frozenset(
        {"serialization_format", "skops_trusted_types", "pyfunc_predict_fn"}
    )

    def handles(self, model: object) -> bool:
        # Any estimator by scikit-learn's protocol, so that models of the user's own class are accepted.
        return hasattr(model, "fit") and hasattr(model, "get_params")

    def save(self, model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        chosen = options.get("serialization_format") or SERIALIZATION_FORMAT_SKOPS
        given = options.get("pyfunc_predict_fn")
        predict_fn = given or "predict"
        offered = [name for name in PREDICT_FUNCTIONS if callable(getattr(model, name, None))]
        if given is not None and given not in offered:
            raise InvalidParameterError(
                f"pyfunc_predict_fn is {given!r}; a {type(model).__name__} can be asked by {offered}"
            )
        if given is None and "predict" not in offered:
            warnings.warn(
                f"A {type(model).__name__} has no method 'predict': it is saved for scikit-learn only, and cannot be "
                f"loaded as a Python function or served. It can be asked by {offered}: choose one with "
                "pyfunc_predict_fn.",
                UserWarning,
                stacklevel=4,
            )
        flavor: dict[str, Any] = {
            "serialization_format": chosen,
            "sklearn_version": importlib.import_module("sklearn").__version__,
        }
        modules = modules_of(model)
        code_files: list[Path] = []
        if chosen == SERIALIZATION_FORMAT_SKOPS:
            file = folder / "model.skops"
            wanted = _types(options.get("skops_trusted_types"))
            trusted = _dump_skops(model, file, wanted)
            # For MLflow, which asks the model itself what to trust. We do not read it back.
            flavor["skops_trusted_types"] = trusted or None
            modules.add("skops")
            if set(trusted) - VETTED_TYPES:
                code_files.append(file)
        else:
            file = folder / "model.pkl"
            file.write_bytes(_dump_pickle(model, chosen))
            code_files.append(file)
            if chosen == SERIALIZATION_FORMAT_CLOUDPICKLE:
                modules.add("cloudpickle")
        flavor["pickled_model"] = file.name
        return Saved(
            flavor=flavor,
            python_function={
                "loader_module": "mlflow.sklearn",
                "model_path": file.name,
                "predict_fn": predict_fn,
            }
            if predict_fn in offered
            else None,
            code_files=code_files,
            modules=modules,
            predict=SklearnPredictor(model, predict_fn) if predict_fn in offered else None,
        )

    def load(self, folder: Path, config: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        file = inside(folder, config.get("pickled_model"), key="sklearn.pickled_model")
        # MLflow before 3.13 wrote no format: it was pickle.
        chosen = config.get("serialization_format", SERIALIZATION_FORMAT_PICKLE)
        if chosen == SERIALIZATION_FORMAT_SKOPS:
            return _load_skops(folder, file, _types(options.get("skops_trusted_types")), options.get("trust"))
        if chosen not in SUPPORTED_SERIALIZATION_FORMATS:
            raise InvalidParameterError(
                f"Unknown serialization_format '{chosen}' in the MLmodel file; known: {SUPPORTED_SERIALIZATION_FORMATS}"
            )
        what = "a pickled scikit-learn model"
        (content,) = trust.read(folder, [file], what=what, trust=options.get("trust"))
        if chosen == SERIALIZATION_FORMAT_CLOUDPICKLE:
            _import("cloudpickle")  # defines what the pickle refers to
        try:
            return pickle.loads(content)  # noqa: S301  # the trust rules were asked
        except (pickle.UnpicklingError, AttributeError, ImportError, EOFError) as error:
            raise InvalidParameterError(
                f"The pickled model '{file.name}' cannot be loaded here: {error!r}. It needs the library versions in "
                "its requirements.txt."
            ) from error

    def predictor(self, model: Any, config: Mapping[str, Any]) -> Predictor:
        name = config.get("predict_fn", "predict")
        if name not in PREDICT_FUNCTIONS or not callable(getattr(model, name, None)):
            raise InvalidParameterError(
                f"'predict_fn' in the MLmodel file is '{name}'; {type(model).__name__} models offer "
                f"{[each for each in PREDICT_FUNCTIONS if hasattr(model, each)]}"
            )
        return SklearnPredictor(model, name)


class SklearnPredictor:
    """One of an estimator's methods, as pyfunc calls it."""

    def __init__(self, model: Any, name: str) -> None:
        self._method = cast("Callable[[Any], Any]", getattr(model, name))
        self.joins_rows = _is_row_by_row(model)

    def __call__(self, data: Any, params: dict[str, Any]) -> Any:
        return self._method(data)


def _is_row_by_row(model: Any) -> bool:
    """Tell whether a row's prediction cannot depend on the rows beside it: so it is with scikit-learn's own classes."""
    parts = [model, *(part for part in model.get_params(deep=True).values() if hasattr(part, "get_params"))]
    return all(
        type(part).__module__.startswith("sklearn.") and type(part).__name__ != "FunctionTransformer"
        for part in parts
    )


def _types(given: object) -> list[str]:
    if given is None:
        return []
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise InvalidParameterError(f"skops_trusted_types must be a list of type names, got {given!r}")
    return [str(name) for name in cast("Sequence[Any]", given)]


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"This scikit-learn model needs '{name}': pip install 'slipstream[sklearn,pyfunc]'"
        ) from error


def _dump_skops(model: Any, file: Path, wanted: list[str]) -> list[str]:
    """Write the file and return the types in it that a reader has to be told to trust."""
    skops = _import("skops.io")
    try:
        skops.dump(model, file)
        unknown: list[str] = skops.get_untrusted_types(file=file)
    except Exception as error:  # skops raises whatever the model's own methods raise
        raise InvalidParameterError(
            f"A {type(model).__name__} cannot be saved in the skops format ({error}). Functions and classes must be "
            "defined at the top of an importable module; otherwise choose serialization_format='cloudpickle', "
            "which only those can load who trust you."
        ) from error
    foreign = sorted(set(unknown) - VETTED_TYPES - COMPILED_TYPES - set(wanted))
    if foreign:
        raise UntrustedModelError(
            f"The model contains the types {foreign}, which a reader has no reason to trust. If they are yours, say so: "
            f"skops_trusted_types={foreign}, here and when loading; or choose serialization_format='cloudpickle'."
        )
    return sorted(unknown)


def _load_skops(folder: Path, file: Path, wanted: list[str], trust_caller: object) -> Any:
    skops = _import("skops.io")
    content = file.read_bytes()  # once: what is checked is what is loaded
    try:
        unknown: list[str] = skops.get_untrusted_types(data=content)
    except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise InvalidParameterError(f"'{file.name}' is no skops file: {error}") from error
    foreign = sorted(set(unknown) - VETTED_TYPES - set(wanted))
    if foreign:
        try:
            what = "a scikit-learn model with foreign types"
            (content,) = trust.read(folder, [file], what=what, trust=bool(trust_caller))
        except UntrustedModelError as error:
            raise UntrustedModelError(
                f"The model contains the types {foreign}. Loading it runs their code. If you trust them, pass "
                f"skops_trusted_types={foreign}; or trust=True (--trust on the command line) for the whole model."
            ) from error
    model = skops.loads(content, trusted=unknown)
    tree_checks.require_sound(model)
    return model


def _dump_pickle(model: Any, chosen: str) -> bytes:
    if chosen not in SUPPORTED_SERIALIZATION_FORMATS:
        raise InvalidParameterError(
            f"Unknown serialization_format '{chosen}'; choose one of {SUPPORTED_SERIALIZATION_FORMATS}"
        )
    library: Any = pickle if chosen == SERIALIZATION_FORMAT_PICKLE else _import("cloudpickle")
    buffer = io.BytesIO()
    try:
        # The default protocol, not the newest: the reader's Python may be older.
        library.dump(model, buffer, protocol=pickle.DEFAULT_PROTOCOL)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise InvalidParameterError(
            f"A {type(model).__name__} cannot be saved by {chosen}: {error}"
        ) from error
    return buffer.getvalue()


FLAVOR = SklearnFlavor()
save_model, log_model, load_model = bind(FLAVOR)
