"""Makes sklearn_metrics.json: scikit-learn's numbers for made-up probabilities of two and of four classes.

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


def case(classes, m, digits):
    labels = rng.integers(classes, size=m)
    labels[:classes] = numpy.arange(classes)
    logits = rng.normal(size=(m, classes)) * 1.5
    logits[numpy.arange(m), labels] += 1.0
    if classes > 2:
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
    areas = [metrics.roc_auc_score(labels == each, probabilities[:, each]) for each in every]
    return {
        "probabilities": probabilities.T.tolist(),
        "labels": labels.tolist(),
        "accuracy": metrics.accuracy_score(labels, answers),
        "precision": precision.tolist(), "recall": recall.tolist(), "f1": f1.tolist(), "support": support.tolist(),
        "macro_average": dict(zip(fields, split("macro")[:3])),
        "weighted_average": dict(zip(fields, split("weighted")[:3])),
        "log_loss": metrics.log_loss(labels, probabilities if classes > 2 else probabilities[:, 1], labels=every),
        "brier": metrics.brier_score_loss(labels, probabilities[:, 1]) if classes == 2
        else metrics.brier_score_loss(labels, probabilities, labels=every),
        "roc_auc": areas[1] if classes == 2 else float(numpy.mean(areas)),
        "roc_auc_of_each": areas,
        "calibration_error": calibration_error(probabilities, labels),
        "confusion": metrics.confusion_matrix(labels, answers, labels=every).tolist(),
    }


print(json.dumps({
    "made_with": "scikit-learn " + sklearn.__version__,
    "cases": [case(2, 60, 2), case(4, 80, 2), case(2, 40, 6)],
}))
