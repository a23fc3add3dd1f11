"""F1 and covering of a segmentation against several annotators, as TCPDBench defines them.

Both are of van den Burg and Williams, arXiv 2003.06222 (2020), section 4. A change point is the index of the first
point of a new segment. Index 0 counts as a change point of every annotator and of every prediction, so that no change
at all has a score.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise

Annotations = Mapping[str, Iterable[int]]


def true_positives(marked: set[int], predicted: set[int], margin: int) -> int:
    """How many marks have a prediction within the margin; each prediction serves one mark, the marks in order.

    >>> true_positives({0, 10, 14}, {0, 12}, 5)
    2
    """
    free, found = set(predicted), 0
    for mark in sorted(marked):
        near = [(abs(mark - p), p) for p in free if abs(mark - p) <= margin]
        if near:
            free.remove(min(near)[1])
            found += 1
    return found


def f_measure(annotations: Annotations, predictions: Iterable[int], margin: int = 5) -> float:
    """F1 of the precision against all annotators' marks together and the mean recall of the annotators.

    >>> round(f_measure({"a": [10], "b": []}, [12]), 3)
    1.0
    """
    marks = [{0, *annotation} for annotation in annotations.values()]
    predicted = {0, *predictions}
    precision = true_positives(set().union(*marks), predicted, margin) / len(predicted)
    recall = sum(true_positives(m, predicted, margin) / len(m) for m in marks) / len(marks)
    return 2.0 * precision * recall / (precision + recall)


def segments(changes: Iterable[int], n: int) -> list[tuple[int, int]]:
    """The half-open segments between the changes.

    >>> segments([3], 5)
    [(0, 3), (3, 5)]
    """
    edges = sorted({0, n, *(c for c in changes if 0 < c < n)})
    return list(pairwise(edges))


def cover(annotation: Iterable[int], predictions: Iterable[int], n: int) -> float:
    """The best Jaccard index of each annotated segment with a predicted one, weighted by its length."""
    predicted, total = segments(predictions, n), 0.0
    for a, b in segments(annotation, n):
        total += (b - a) * max(overlap(a, b, c, d) for c, d in predicted)
    return total / n


def overlap(a: int, b: int, c: int, d: int) -> float:
    shared = min(b, d) - max(a, c)
    return max(shared, 0) / (max(b, d) - min(a, c)) if shared > 0 else 0.0


def covering(annotations: Annotations, predictions: Iterable[int], n: int) -> float:
    """The mean of the annotators' covers.

    >>> covering({"a": [5], "b": []}, [], 10)
    0.75
    """
    predicted = list(predictions)
    return sum(cover(a, predicted, n) for a in annotations.values()) / len(annotations)
