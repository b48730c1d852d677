"""Makes sklearn_metrics.json: scikit-learn's numbers for made-up probabilities of two to five classes.

usage: python sklearn_metrics.py > sklearn_metrics.json

The calibration error, which scikit-learn does not have, is written out with NumPy.
"""

import json

import numpy
import sklearn
from sklearn import metrics

rng = numpy.random.default_rng(5)


def calibration_error(probabilities, labels):
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    edges = numpy.arange(1, 10) / 10
    bins = numpy.digitize(confidence, edges, right=True)
    error = 0.0
    for each in range(10):
        inside = bins == each
        if inside.any():
            right = (answers[inside] == labels[inside]).mean()
            error += inside.mean() * abs(right - confidence[inside].mean())
    return error


def case(classes, m, digits, absent=(), right=False):
    """Of these `classes`, those in `absent` have no example; with `right` every example is answered rightly."""
    present = [each for each in range(classes) if each not in absent]
    labels = rng.choice(present, size=m) if absent else rng.integers(classes, size=m)
    labels[:len(present)] = present
    logits = rng.normal(size=(m, classes)) * 1.5
    logits[numpy.arange(m), labels] += 1.0
    if right:
        logits[:, list(absent)] -= 9.0
        logits[numpy.arange(m), labels] += 9.0
    elif classes > 2 and not absent:
        # A class that nothing is ever called.
        logits[:, -1] -= 9.0
    probabilities = numpy.exp(logits) / numpy.exp(logits).sum(axis=1, keepdims=True)
    # Few digits, so that there are ties; rows still sum to 1 within rounding.
    probabilities = numpy.round(probabilities, digits)
    probabilities[:, 0] = numpy.round(1.0 - probabilities[:, 1:].sum(axis=1), digits)
    probabilities = numpy.clip(probabilities, 0.0, 1.0)
    answers = probabilities.argmax(axis=1)
    every = list(range(classes))
    fields = ("precision", "recall", "f1")
    split = lambda average: metrics.precision_recall_fscore_support(
        labels, answers, labels=every, average=average, zero_division=0.0)
    precision, recall, f1, support = split(None)
    # Not a class that has no example, or all of them.
    areas = [metrics.roc_auc_score(labels == each, probabilities[:, each]) if 0 < (labels == each).sum() < m else None
             for each in every]
    known = [area for area in areas if area is not None]
    # With no list of classes, as a user calls it: over those that occur in truth or answers.
    macro = metrics.precision_recall_fscore_support(labels, answers, average="macro", zero_division=0.0)[:3]
    return {
        "probabilities": probabilities.T.tolist(),
        "labels": labels.tolist(),
        "accuracy": metrics.accuracy_score(labels, answers),
        "precision": precision.tolist(), "recall": recall.tolist(), "f1": f1.tolist(), "support": support.tolist(),
        "macro_average": dict(zip(fields, macro)),
        "weighted_average": dict(zip(fields, split("weighted")[:3])),
        "log_loss": metrics.log_loss(labels, probabilities if classes > 2 else probabilities[:, 1], labels=every),
        "brier": metrics.brier_score_loss(labels, probabilities[:, 1], labels=every, pos_label=1) if classes == 2
        else metrics.brier_score_loss(labels, probabilities, labels=every),
        "roc_auc": areas[1] if classes == 2 else float(numpy.mean(known)) if known else None,
        "roc_auc_of_each": areas,
        "calibration_error": calibration_error(probabilities, labels),
        "confusion": metrics.confusion_matrix(labels, answers, labels=every).tolist(),
    }


print(json.dumps({
    "made_with": "scikit-learn " + sklearn.__version__,
    "cases": [
        case(2, 60, 2), case(4, 80, 2), case(2, 40, 6),
        # A class without examples: never an answer, or one; several; and a part with a single class.
        case(4, 30, 2, absent=(0,), right=True), case(4, 50, 2, absent=(2,)), case(5, 50, 2, absent=(0, 4)),
        case(3, 20, 2, absent=(0, 2)), case(2, 20, 2, absent=(1,)), case(2, 20, 2, absent=(0,), right=True),
    ],
}))
