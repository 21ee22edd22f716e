"""Small random videos full of what is hard to count: ties, borders, gaps, empty frames, equal scores."""

import random

CLASSES = ['cat', 'dog', 'fox', 'never']
# Sides whose areas lie on the borders of the ranges, with and without a pixel more.
SIDES = [9, 31, 32, 49, 50, 95, 96, 149, 150, 200, 300]


def random_scene(seed):
    """A CocoVID file's content, and detections: (image id, x1 y1 x2 y2 boxes, scores, labels) of each frame."""
    rng = random.Random(seed)
    whole = seed % 3 != 0  # whole pixels make ties
    images, annotations = [], []
    for video_id in range(1, rng.randint(2, 4)):
        frame_ids = sorted(rng.sample(range(rng.choice([6, 30])), rng.randint(1, 6)))
        for frame_id in frame_ids:
            images.append(dict(id=rng.randint(1, 50) * 1000 + len(images), video_id=video_id, frame_id=frame_id))
        for _ in range(rng.choice([0, 2, 4, 6])):
            annotations += track(rng, images[-len(frame_ids):], 1 + len(annotations), whole)
    rng.shuffle(annotations)
    for number, annotation in enumerate(annotations, start=1):
        annotation['id'] = number
    categories = [dict(id=7 - k, name=name) for k, name in enumerate(CLASSES)] + [dict(id=90, name='unasked')]
    results = [detections(rng, image['id'], annotations, whole) for image in images]
    rng.shuffle(results)
    return dict(images=images, videos=[], annotations=annotations, categories=categories), results


def track(rng, images, instance_id, whole):
    """One object's boxes: at rest, moving, or narrowing between two frames to 0.7 or 0.9 of its width."""
    category_id = rng.choice([7, 7, 6, 5, 90])
    box = [rng.randint(0, 60), rng.randint(0, 60), rng.choice(SIDES), rng.choice(SIDES)]
    step = rng.choice([0, 0, 1, 3, 10, 40])
    narrowed = rng.choice([None, None, None, 7, 9])
    annotations = []
    for k, image in enumerate(images):
        if narrowed:
            box = [20, 20, 10 * 3, 40] if k % 2 else [20, 20, narrowed * 3, 40]
        elif step:
            box = [box[0] + rng.randint(0, step), box[1] + rng.randint(0, step), box[2], box[3]]
        if rng.random() < 0.2:
            continue
        shown = box if whole or narrowed else [value + rng.random() for value in box]
        annotations.append(dict(image_id=image['id'], video_id=image['video_id'], category_id=category_id,
                                instance_id=instance_id, bbox=shown, area=shown[2] * shown[3],
                                iscrowd=int(rng.random() < 0.05)))
    if rng.random() < 0.3:  # another object in the same places now and then, whose motion differs
        annotations += [dict(entry, instance_id=instance_id + 1000) for entry in annotations if rng.random() < 0.5]
    return annotations


def detections(rng, image_id, annotations, whole):
    boxes, scores, labels = [], [], []
    for annotation in annotations:
        if annotation['image_id'] == image_id:
            x, y, width, height = annotation['bbox']
            for _ in range(rng.choice([0, 1, 1, 2, 3])):
                reach = rng.choice([0, 0, 1, 4, 12])
                left, top, right, bottom = (rng.randint(-reach, reach) for _ in range(4))
                boxes.append([x + left, y + top, x + max(width + right, left + 2),
                              y + max(height + bottom, top + 2)])
                labels.append(rng.choice([rng.randrange(4), *[max(7 - annotation['category_id'], 0)] * 3]))
    crowded = rng.random() < 0.02  # more of a class than COCO looks at
    for _ in range(120 if crowded else rng.choice([0, 0, 1, 2, 4])):
        x, y = rng.randint(0, 300), rng.randint(0, 300)
        boxes.append([x, y, x + rng.choice(SIDES), y + rng.choice(SIDES)])
        labels.append(0 if crowded else rng.randrange(4))
    if not whole:
        boxes = [[x1, y1, x2 + rng.random(), y2 + rng.random()] for x1, y1, x2, y2 in boxes]
    scores = [rng.choice([rng.random(), rng.randint(1, 9) / 10]) for _ in boxes]
    return image_id, boxes, scores, labels
