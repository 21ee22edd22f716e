"""AP50 of detections once classes, boxes or both are right, or nothing is found where nothing is.

    python docs/programs/oracles.py CONFIG RESULTS.pkl ... [key=value ...]

RESULTS.pkl are files of tools/test.py --out with the config; several are averaged. The corrections are those of TIDE
(Bolya et al., ECCV 2020, section 3): a detection that overlaps an object enough becomes right, and others of that
object go.
"""

import sys

import numpy as np

from tsm_det.config import load_config, parse_options
from tsm_det.evaluation.coco_ap import matched_ranges
from tsm_det.evaluation.evaluation_set import EvaluationSet, evaluation_set_of
from tsm_det.evaluation.matching import overlapping_pairs
from tsm_det.evaluation.tables import Detections, GroundTruth

# IoU that a detection needs, and whether it needs the class.
ORACLES = {'class': (0.5, False), 'box': (0.1, True), 'class and box': (0.1, False)}
BACKGROUND = 0.1  # IoU below which a detection is of no object


def ap50(data: EvaluationSet, detections: Detections) -> float:
    """Mean AP50 of the classes."""
    _, evaluation = next(matched_ranges(data.ground_truth, detections, len(data.classes), (0.5,)))
    return evaluation.score(np.ones(len(data.images), bool), '')['coco/AP50']


def corrected(truth: GroundTruth, detections: Detections, iou: float, by_class: bool) -> Detections:
    """Let the highest-scoring detection of each object be right, and drop the others of the object."""
    pairs = overlapping_pairs(detections.frames, detections.boxes, truth.frames, truth.boxes)
    is_same = detections.labels[pairs.detection] == truth.labels[pairs.truth]
    pairs = pairs.take((pairs.iou >= iou) & ~truth.crowd[pairs.truth] & (is_same | (not by_class)))
    # Detections of a frame are sorted by score, so the first pair of an object is its highest-scoring one.
    objects, first = np.unique(pairs.truth, return_index=True)
    chosen = pairs.detection[first]
    labels, boxes = detections.labels.copy(), detections.boxes.copy()
    labels[chosen], boxes[chosen] = truth.labels[objects], truth.boxes[objects]
    dropped = np.setdiff1d(pairs.detection, chosen)
    return detections._replace(labels=labels, boxes=boxes).take(
        np.delete(np.arange(len(labels)), dropped))


def without_background(truth: GroundTruth, detections: Detections) -> Detections:
    """Only detections that overlap an object."""
    pairs = overlapping_pairs(detections.frames, detections.boxes, truth.frames, truth.boxes)
    return detections.take(np.unique(pairs.detection[pairs.iou >= BACKGROUND]))


def scores(data: EvaluationSet, results: str) -> dict[str, float]:
    """AP50 by correction."""
    truth, found = data.ground_truth, data.read_detections(results)
    return {'as detected': ap50(data, found),
            **{name: ap50(data, corrected(truth, found, *oracle)) for name, oracle in ORACLES.items()},
            'no background': ap50(data, without_background(truth, found))}


def main(config: str, words: list[str]) -> None:
    """Print a line per correction."""
    data = evaluation_set_of(load_config(config, parse_options([word for word in words if '=' in word])))
    runs = [scores(data, word) for word in words if '=' not in word]
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f'{name}: {np.mean(values):.3f} ({", ".join(f"{value:.3f}" for value in values)})')


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
