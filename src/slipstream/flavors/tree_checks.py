"""Are the trees of a loaded scikit-learn model sound?

Compiled code follows their child and feature numbers without looking, so a crafted file could make a
prediction read memory that is not its own, or never end. Numbers that a fit cannot produce are refused.
"""

from collections.abc import Iterator
from typing import Any, cast

from slipstream.errors import InvalidParameterError


def require_sound(model: Any) -> None:
    """Check every tree inside a model.

    Raises:
        InvalidParameterError: a tree's numbers lead out of it.
    """
    for value in _walk(model):
        _check_features(value)
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
        elif kind in ("sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree"):
            _check_neighbours(value)


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
    width = getattr(estimator, "n_features_in_", None)
    if not isinstance(width, int):
        return
    trees = [estimator.tree_] if hasattr(estimator, "tree_") else []
    read = [tree.n_features for tree in trees]
    subsets = list(getattr(estimator, "_estimators_features", getattr(estimator, "estimators_features_", [])))
    members = list(_leaves(getattr(estimator, "estimators_", [])))
    for position, member in enumerate(members):
        if hasattr(member, "tree_"):
            allowed = len(subsets[position]) if position < len(subsets) else width
            if member.tree_.n_features > allowed:
                read.append(width + 1)
    for predictor in _leaves(getattr(estimator, "_predictors", [])):
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


def _check_neighbours(tree: Any) -> None:
    import numpy as np

    data, order, nodes, _bounds = (np.asarray(array) for array in tree.get_arrays())
    count = len(data)
    start, end = nodes["idx_start"], nodes["idx_end"]
    sound = (
        len(order) == count
        and bool((order >= 0).all() and (order < count).all())
        and bool((start >= 0).all() and (end <= count).all() and (start <= end).all())
    )
    if not sound:
        raise InvalidParameterError(
            "The model's file is damaged or crafted: a neighbour tree leads out of itself"
        )


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
