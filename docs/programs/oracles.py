"""AP50 after wrong classes, wrong boxes or both are corrected, or detections of background removed.

    python docs/programs/oracles.py CONFIG RESULTS.pkl ... [key=value ...]

RESULTS.pkl are files of tools/test.py --out with the config; several are averaged. The corrections are those of an
oracle that knows the class, the place or both of each object that a detection is at; scores stay. Unlike the errors of
TIDE (Bolya et al., ECCV 2020), a right detection of a low score does not keep a wrong one of a high score from being
corrected.
"""

import sys

import numpy as np

from tsm_det.config import load_config, parse_options
from tsm_det.evaluation.coco_ap import matched_ranges
from tsm_det.evaluation.evaluation_set import EvaluationSet, evaluation_set_of
from tsm_det.evaluation.matching import greedy_matches, overlapping_pairs
from tsm_det.evaluation.tables import Detections, GroundTruth

# IoU with an object that a detection needs to be corrected, and whether it needs the object's class too.
ORACLES = {'class': (0.5, False), 'box': (0.1, True), 'class and box': (0.1, False)}
BACKGROUND = 0.1  # IoU below which a detection counts as background


def ap50(data: EvaluationSet, detections: Detections) -> float:
    """Mean AP50 of the classes."""
    _, evaluation = next(matched_ranges(data.ground_truth, detections, len(data.classes), (0.5,)))
    return evaluation.score(np.ones(len(data.images), bool), '')['coco/AP50']


def corrected(truth: GroundTruth, detections: Detections, iou: float, by_class: bool) -> Detections:
    """Make one detection of each object right, and drop its others; high scores choose first, the highest IoU."""
    pairs = overlapping_pairs(detections.frames, detections.boxes, truth.frames, truth.boxes)
    is_same = detections.labels[pairs.detection] == truth.labels[pairs.truth]
    pairs = pairs.take((pairs.iou >= iou) & ~truth.crowd[pairs.truth] & (is_same | (not by_class)))
    pairs = pairs.take(np.lexsort((-pairs.iou, pairs.detection)))
    objects = greedy_matches(pairs.detection, pairs.truth, len(detections.scores), len(truth.frames))
    chosen, labels, boxes = objects >= 0, detections.labels.copy(), detections.boxes.copy()
    labels[chosen], boxes[chosen] = truth.labels[objects[chosen]], truth.boxes[objects[chosen]]
    others = np.isin(np.arange(len(labels)), pairs.detection) & ~chosen
    return detections._replace(labels=labels, boxes=boxes).take(~others)


def without_background(truth: GroundTruth, detections: Detections) -> Detections:
    """Only detections that are near an object."""
    pairs = overlapping_pairs(detections.frames, detections.boxes, truth.frames, truth.boxes)
    return detections.take(np.unique(pairs.detection[pairs.iou >= BACKGROUND]))


def scores(data: EvaluationSet, detections: Detections) -> dict[str, float]:
    """AP50 by correction."""
    truth = data.ground_truth
    return {'as detected': ap50(data, detections),
            **{name: ap50(data, corrected(truth, detections, *oracle)) for name, oracle in ORACLES.items()},
            'no background': ap50(data, without_background(truth, detections))}


def main(config: str, words: list[str]) -> None:
    """Print a line per correction."""
    data = evaluation_set_of(load_config(config, parse_options([word for word in words if '=' in word])))
    runs = [scores(data, data.read_detections(word)) for word in words if '=' not in word]
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f'{name}: {np.mean(values):.3f} ({", ".join(f"{value:.3f}" for value in values)})')


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
