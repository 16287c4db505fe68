"""Are the trees of a loaded scikit-learn model sound?

Compiled code follows their child and feature numbers without looking, so a crafted file could make a
prediction read memory that is not its own, or never end. Numbers that a fit cannot produce are refused.
"""

import numbers
from collections.abc import Iterator
from typing import Any, cast

from slipstream.errors import InvalidParameterError


def require_sound(model: Any) -> None:
    """Check every tree inside a model.

    Raises:
        InvalidParameterError: a tree's numbers lead out of it.
    """
    boosted: list[Any] = []
    for value in _walk(model):
        _check_features(value)
        if any(base.__name__ == "BaseGradientBoosting" for base in type(value).__mro__):
            boosted.append(value)
        kind = f"{type(value).__module__}.{type(value).__name__}"
        if kind == "sklearn.tree._tree.Tree":
            _check(
                value.children_left,
                value.children_right,
                value.feature,
                count=value.node_count,
                features=value.n_features,
                is_leaf=value.children_left == -1,
            )
        elif kind == "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor":
            nodes = value.nodes
            _check(
                nodes["left"],
                nodes["right"],
                nodes["feature_idx"],
                count=len(nodes),
                features=None,
                is_leaf=nodes["is_leaf"].astype(bool),
            )

    for value in boosted:  # at the end, since it asks other parts of the model, which are sound by now
        _check_boosting(value)


def _check_boosting(estimator: Any) -> None:
    """Refuse boosted trees that would write beside the array that the estimator makes for their sum."""
    import numpy as np

    one_row = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    sums = estimator._raw_predict_init(one_row)
    if sums.ndim != 2 or sums.shape != (1, estimator.estimators_.shape[1]):
        raise InvalidParameterError(
            f"The model's file is damaged or crafted: a {type(estimator).__name__} has more trees a stage than outputs"
        )


def _check(left: Any, right: Any, feature: Any, *, count: int, features: int | None, is_leaf: Any) -> None:
    import numpy as np

    inner = ~is_leaf
    own = np.arange(count)[inner]
    sound = len(left) == count > 0
    for child in (left, right):
        # A child comes after its parent, so following children always ends.
        numbers = child[inner].astype("int64")
        sound = sound and bool((numbers > own).all() and (numbers < count).all())
    chosen = feature[inner]
    sound = sound and bool((chosen >= 0).all())
    if features is not None:
        sound = sound and bool((chosen < features).all())
    if not sound:
        raise InvalidParameterError(
            "The model's file is damaged or crafted: a decision tree leads out of itself"
        )


def _check_features(estimator: Any) -> None:
    """Refuse an estimator whose trees read more columns than it checks its input for."""
    trees = [estimator.tree_] if hasattr(estimator, "tree_") else []
    read = [tree.n_features for tree in trees]
    members = list(_leaves(getattr(estimator, "estimators_", [])))
    predictors = list(_leaves(getattr(estimator, "_predictors", [])))
    if not trees and not predictors and not any(hasattr(member, "tree_") for member in members):
        return
    width: object = getattr(estimator, "n_features_in_", None)
    if isinstance(width, bool) or not isinstance(width, numbers.Integral):
        # Without it scikit-learn does not look how many columns its input has.
        raise InvalidParameterError(
            f"The model's file is damaged or crafted: a {type(estimator).__name__} does not say how many columns its "
            "trees were made for"
        )
    width = int(width)
    subsets = list(getattr(estimator, "_estimators_features", getattr(estimator, "estimators_features_", [])))
    for position, member in enumerate(members):
        if hasattr(member, "tree_"):
            allowed = len(subsets[position]) if position < len(subsets) else width
            if member.tree_.n_features > allowed:
                read.append(width + 1)
    for predictor in predictors:
        nodes = predictor.nodes
        read += nodes["feature_idx"][~nodes["is_leaf"].astype(bool)].max(initial=-1).reshape(1).tolist()
        read[-1] += 1
    if any(count > width for count in read):
        raise InvalidParameterError(
            f"The model's file is damaged or crafted: a tree of a {type(estimator).__name__} reads columns that its "
            "input does not have"
        )


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)) or type(value).__name__ == "ndarray":
        for item in cast("list[Any]", value):
            yield from _leaves(item)
    else:
        yield value


def _walk(root: Any) -> Iterator[Any]:
    """Yield every object reachable through attributes and containers."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, (str, bytes, int, float, type(None))):
            continue
        seen.add(id(value))
        yield value
        if isinstance(value, dict):
            mapping = cast("dict[Any, Any]", value)
            waiting += [*mapping.keys(), *mapping.values()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            waiting += list(cast("list[Any]", value))
        elif type(value).__name__ == "ndarray":
            if value.dtype.kind == "O":
                waiting += value.ravel().tolist()
        else:
            waiting += list(getattr(value, "__dict__", {}).values())
