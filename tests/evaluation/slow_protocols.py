"""The definitions of the three protocols, read slowly: one frame, one detection, one box at a time, no arrays.

Written from the definitions, not from tsm_det: nothing of it is imported here.
"""

import math
from fractions import Fraction

import numpy as np

MOTION = {'slow': (Fraction(9, 10), 1), 'medium': (Fraction(7, 10), Fraction(9, 10)), 'fast': (0, Fraction(7, 10))}
COCO_AREA = {'area_small': (0, 32 ** 2), 'area_medium': (32 ** 2, 96 ** 2), 'area_large': (96 ** 2, 1e10)}
VID_AREA = {'area_small': (0, 50 ** 2), 'area_medium': (50 ** 2, 150 ** 2), 'area_large': (150 ** 2, math.inf)}
# Neither is quite i / 100 or i / 20: COCO's numbers depend on how these are rounded.
RECALLS = np.linspace(0, 1, 101).tolist()
IOUS = np.linspace(0.5, 0.95, 10).tolist()


def score_slowly(content, results, classes, first_frames=None, count_key_frame=False):
    """All metrics of VIDMetric but the counts of frames.

    Args:
        content: of a CocoVID file.
        results: (image id, x1 y1 x2 y2 boxes, scores, labels) of each frame, as lists.
        classes: names in the order of labels.
    """
    frames = read_frames(content, results, classes, count_key_frame)
    labels = range(len(classes))
    metrics = coco(frames, labels, '')
    for name, limits in COCO_AREA.items():
        metrics |= coco(frames, labels, f'_{name}', area=limits)
    for name, limits in MOTION.items():
        metrics |= coco(frames, labels, f'_{name}', motion=limits)
    if first_frames is not None:
        metrics |= coco([frame for frame in frames if frame['number'] < first_frames], labels, '_first')
        metrics |= coco([frame for frame in frames if frame['number'] >= first_frames], labels, '_rest')
    for name, protocol in (('fgfa', fgfa), ('mega', mega)):
        metrics[f'{name}/AP50'] = protocol(frames, labels)
        for suffix, limits in MOTION.items():
            metrics[f'{name}/AP50_{suffix}'] = protocol(frames, labels, motion=limits)
    for suffix, limits in VID_AREA.items():
        metrics[f'fgfa/AP50_{suffix}'] = fgfa(frames, labels, area=limits)
    return metrics


def read_frames(content, results, classes, count_key_frame):
    """Frames by image id, each with its boxes by annotation id and its detections, highest-scoring first."""
    label_of = {entry['id']: classes.index(entry['name'])
                for entry in content['categories'] if entry['name'] in classes}
    image_of = {image['id']: image for image in content['images']}
    kept = sorted([entry for entry in content['annotations'] if entry['category_id'] in label_of],
                  key=lambda entry: entry['id'])
    tracked = all(entry.get('instance_id') or entry['iscrowd'] for entry in kept)
    frames = []
    for image in sorted(content['images'], key=lambda image: image['id']):
        truth = [dict(box=corners(entry['bbox']), label=label_of[entry['category_id']], area=entry['area'],
                      crowd=bool(entry['iscrowd']),
                      motion=motion_of(entry, kept, image_of, count_key_frame) if tracked else None)
                 for entry in kept if entry['image_id'] == image['id']]
        found = [dict(box=box, score=score, label=label) for img_id, *columns in results if img_id == image['id']
                 for box, score, label in zip(*columns, strict=True)]
        before = [other for other in content['images']
                  if other['video_id'] == image['video_id'] and other['frame_id'] < image['frame_id']]
        frames.append(dict(truth=truth, found=sorted(found, key=lambda one: -one['score']), number=len(before)))
    return frames


def motion_of(entry, annotations, image_of, count_key_frame):
    """Exact mean IoU with the same track's boxes within 10 frames, None without one."""
    here = image_of[entry['image_id']]
    values = []
    for other in annotations:
        there = image_of[other['image_id']]
        same = other['instance_id'] == entry['instance_id'] and there['video_id'] == here['video_id']
        if same and abs(there['frame_id'] - here['frame_id']) <= 10 and (other is not entry or count_key_frame):
            values.append(exact_iou(entry['bbox'], other['bbox']))
    return sum(values) / len(values) if values else None


def exact_iou(first, second):
    ax, ay, aw, ah = map(Fraction, first)
    bx, by, bw, bh = map(Fraction, second)
    shared = max(min(ax + aw, bx + bw) - max(ax, bx), 0) * max(min(ay + ah, by + bh) - max(ay, by), 0)
    return shared / (aw * ah + bw * bh - shared)


def corners(box):
    x, y, width, height = box
    return [x, y, x + width, y + height]


def iou(first, second, pixel, crowd=False):
    """IoU of two x1, y1, x2, y2 boxes whose sides are ``pixel`` longer than their differences."""
    width = min(first[2], second[2]) - max(first[0], second[0]) + pixel
    height = min(first[3], second[3]) - max(first[1], second[1]) + pixel
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (size(first, pixel) if crowd else size(first, pixel) + size(second, pixel) - shared)


def size(box, pixel):
    return (box[2] - box[0] + pixel) * (box[3] - box[1] + pixel)


def lies_in(value, limits):
    """Both ends belong to a range; what has no value is in none; no limits are no range."""
    return limits is None or (value is not None and limits[0] <= value <= limits[1])


def mean(values):
    return sum(values) / len(values) if values else math.nan


# COCO


def coco(frames, labels, suffix, motion=None, area=None):
    table = {(label, t): coco_class(frames, label, t, motion, area) for label in labels for t in range(len(IOUS))}
    chosen = {'AP': range(len(IOUS)), 'AP50': [0], 'AP75': [5]}
    return {f'coco/{name}{suffix}': mean([table[label, t] for label in labels for t in ts
                                          if table[label, t] is not None]) for name, ts in chosen.items()}


def coco_class(frames, label, t, motion, area):
    """AP of a class at a threshold: the mean over 101 recalls of the best precision there or beyond; None: no box."""
    outcomes, positives = [], 0
    for frame in frames:
        boxes = [box for box in frame['truth'] if box['label'] == label]
        ignored = [box['crowd'] or not lies_in(box['motion'], motion) or not lies_in(box['area'], area)
                   for box in boxes]
        positives += ignored.count(False)
        taken = set()
        for one in [one for one in frame['found'] if one['label'] == label][:100]:
            k = coco_choice(one, boxes, ignored, taken, IOUS[t])
            if k is not None:
                taken.add(k)
                if not ignored[k]:
                    outcomes.append((one['score'], True))
            elif lies_in(size(one['box'], 0), area):
                outcomes.append((one['score'], False))
    return interpolated(outcomes, positives) if positives else None


def coco_choice(one, boxes, ignored, taken, threshold):
    """The box with the highest IoU, the last of equal ones; one to be ignored only if there is no other."""
    for wanted in (False, True):
        best, choice = threshold, None
        for k, box in enumerate(boxes):
            if ignored[k] == wanted and (k not in taken or box['crowd']):
                value = iou(one['box'], box['box'], 0, box['crowd'])
                if value >= best:
                    best, choice = value, k
        if choice is not None:
            return choice
    return None


def interpolated(outcomes, positives):
    points, hits = [], 0
    for number, (_, hit) in enumerate(sorted(outcomes, key=lambda outcome: -outcome[0]), start=1):
        hits += hit
        points.append((hits / positives, hits / number))
    return mean([max([precision for recall, precision in points if recall >= wanted], default=0)
                 for wanted in RECALLS])


# FGFA and MEGA


def all_points(outcomes, positives):
    """Area under precision over recall; outcomes are (score, hit, weight of a false positive)."""
    points, hits, false_positives = [], 0, 0
    for _, hit, weight in sorted(outcomes, key=lambda outcome: -outcome[0]):
        hits, false_positives = hits + hit, false_positives + weight
        points.append((hits / positives, hits / (hits + false_positives) if hits else 0))
    area, last = 0, 0
    for k, (recall, _) in enumerate(points):
        area += (recall - last) * max(precision for _, precision in points[k:])
        last = recall
    return area


def in_and_out(one, boxes, inside, pixel):
    """Highest IoU with a box in the range and with one out of it; -1 where there is no such box."""
    values = [iou(one['box'], box['box'], pixel) for box in boxes]
    return (max([value for value, within in zip(values, inside, strict=True) if within], default=-1),
            max([value for value, within in zip(values, inside, strict=True) if not within], default=-1))


def is_in_region(one, boxes):
    return any(box['crowd'] and box['label'] == one['label'] and iou(one['box'], box['box'], 0, crowd=True) >= 0.5
               for box in boxes)


def fgfa(frames, labels, motion=None, area=None):
    every = [box for frame in frames for box in frame['truth'] if not box['crowd']]
    outcomes, positives = {label: [] for label in labels}, dict.fromkeys(labels, 0)
    for frame in frames:
        boxes = [box for box in frame['truth'] if not box['crowd']]
        moving = [lies_in(box['motion'], motion) for box in boxes]
        inside = [ok and lies_in(size(box['box'], 1), area) for ok, box in zip(moving, boxes, strict=True)]
        for box, within in zip(boxes, inside, strict=True):
            positives[box['label']] += within
        taken = set()
        for one in frame['found']:
            k = fgfa_choice(one, boxes, taken)
            if k is not None:
                taken.add(k)
                hit, wrong = inside[k], 0
            elif not lies_in(size(one['box'], 1), area) or is_in_region(one, frame['truth']):
                hit, wrong = False, 0
            else:
                hit = False
                within, out = in_and_out(one, boxes, moving, 1)
                if within != out:
                    wrong = int(within > out)
                elif boxes:
                    wrong = moving.count(False) / len(boxes)
                else:
                    wrong = mean([lies_in(box['motion'], motion) for box in every])
            outcomes[one['label']].append((one['score'], hit, wrong))
    return mean([all_points(outcomes[label], positives[label]) for label in labels if positives[label]])


def fgfa_choice(one, boxes, taken):
    best, choice = -1, None
    for k, box in enumerate(boxes):
        width, height = box['box'][2] - box['box'][0] + 1, box['box'][3] - box['box'][1] + 1
        threshold = min(0.5, width * height / ((width + 10) * (height + 10)))
        value = iou(one['box'], box['box'], 1)
        if box['label'] == one['label'] and k not in taken and value >= threshold and value > best:
            best, choice = value, k
    return choice


def mega(frames, labels, motion=None):
    def belongs(box):
        return lies_in(box['motion'], motion)

    elsewhere = mean([belongs(box) for frame in frames for box in frame['truth'] if not box['crowd']])
    values = []
    for label in labels:
        outcomes, positives = [], 0
        for frame in frames:
            boxes = [box for box in frame['truth'] if box['label'] == label and not box['crowd']]
            inside = [belongs(box) for box in boxes]
            positives += inside.count(True)
            taken = set()
            for one in [one for one in frame['found'] if one['label'] == label]:
                k = mega_choice(one, boxes, inside, taken)
                if k is not None:
                    taken.add(k)
                    outcomes.append((one['score'], inside[k], 0))
                elif is_in_region(one, frame['truth']):
                    outcomes.append((one['score'], False, 0))
                else:
                    outcomes.append((one['score'], False, mega_false_positive(one, boxes, inside, elsewhere)))
        if positives:
            values.append(all_points(outcomes, positives))
    return mean(values)


def mega_choice(one, boxes, inside, taken):
    best, choice = 0.5, None
    for k, box in enumerate(boxes):
        value = iou(one['box'], box['box'], 2)
        if k in taken or value < best:
            continue
        if value > best or choice is None or not inside[choice]:
            choice = k
        best = value
    return choice


def mega_false_positive(one, boxes, inside, elsewhere):
    if not boxes:
        return 1 if elsewhere in (0, 1) else elsewhere
    within, out = in_and_out(one, boxes, inside, 2)
    if within != out:
        return int(within > out)
    return inside.count(False) / len(boxes)
