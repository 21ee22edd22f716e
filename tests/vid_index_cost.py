"""What loading costs at ImageNet VID's size: python -m tests.vid_index_cost FOLDER

Writes an index with as many videos, frames and stills as the official one, and about as many boxes (no pictures), loads
it as training does, and prints seconds and memory. Not a test: its figures stand in data/README.md.
"""

import resource
import sys
import time
from collections import Counter
from itertools import islice
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

import tsm_det  # noqa: F401
from tsm_det.cocovid.convert.imagenet_xml import CATEGORIES, SYNSETS
from tsm_det.cocovid.parts import join_parts, make_parts
from tsm_det.config import config_path
from tsm_det.datasets.imagenet_vid import ImageNetVIDDataset
from tsm_det.datasets.key_frames import KeyFrameSampler

VIDEOS, FRAMES, STILLS = 3862, 1_122_397, 53_261


def video(number):
    """A part: a video with three boxes in two frames, about what VID has."""
    length = FRAMES // VIDEOS + (number < FRAMES % VIDEOS)
    name, size = f'train/ILSVRC2015_VID_train_{number % 4:04d}/ILSVRC2015_train_{number:08d}', (1280, 720)
    images = [{'id': k + 1, 'file_name': f'VID/{name}/{k:06d}.JPEG', 'width': size[0], 'height': size[1],
               'video_id': 1, 'frame_id': k, 'is_vid_train_frame': k % (length // 15 + 1) == 0} for k in range(length)]
    annotations = [box(place + 1, image['id'], video_id=1, instance_id=place % 2 + 1) for place, image in enumerate(
        image for image in images for _ in range(1 + image['id'] % 2))]
    return {'videos': [{'id': 1, 'name': name, 'width': size[0], 'height': size[1]}], 'images': images,
            'annotations': annotations, 'problems': [], 'counts': Counter()}


def stills(number):
    """A part of a thousand stills."""
    images = [{'id': k + 1, 'file_name': f'DET/train/ILSVRC2013_train/n01503061/n01503061_{number}{k}.JPEG',
               'width': 500, 'height': 375} for k in range(min(1000, STILLS - 1000 * number))]
    return {'videos': [], 'images': images, 'problems': [], 'counts': Counter(),
            'annotations': [box(k + 1, k + 1, instance_id=k + 1) for k in range(len(images))]}


def box(number, image_id, **fields):
    return {'id': number, 'image_id': image_id, 'category_id': number % 30 + 1, 'bbox': [312.0, 87.0, 401.0, 298.0],
            'area': 119498.0, 'iscrowd': 0, 'occluded': False, 'generated': False, **fields}


def write(folder):
    for name, convert, number in (('imagenet_vid_train', video, VIDEOS), ('imagenet_det_30classes', stills, 54)):
        path = folder / f'{name}.json'
        if not path.is_file():
            parts = make_parts(list(range(number)), convert, folder, path, 2, lambda made, total: made)
            join_parts(parts, [{'id': k, 'name': SYNSETS[synset]} for synset, k in CATEGORIES.items()], path)


def main():
    folder = Path(sys.argv[1])
    begin = time.perf_counter()
    write(folder)
    print(f'written in {time.perf_counter() - begin:.0f} s, '
          f'{sum(path.stat().st_size for path in folder.glob("*.json")) / 1e6:.0f} MB of JSON')
    init_default_scope('mmdet')
    keys = Config.fromfile(config_path('tsm_faster_rcnn_r50_vid')).train_dataloader.dataset
    keys.update(data_root=str(folder), ann_file='imagenet_vid_train.json', stills='imagenet_det_30classes.json')
    keys.pop('type')
    before, begin = memory_mb(), time.perf_counter()
    dataset = ImageNetVIDDataset(**keys)
    print(f'{len(dataset)} videos and stills loaded in {time.perf_counter() - begin:.0f} s, '
          f'peak {peak_mb():.0f} MB, {memory_mb() - before:.0f} MB kept (shared with worker processes)')
    begin = time.perf_counter()
    sampler = KeyFrameSampler(dataset, seed=0)
    print(f'sampler in {time.perf_counter() - begin:.1f} s: {len(sampler.key_frames)} key frames, '
          f'{len(sampler.stills)} stills, {len(sampler)} clips an epoch')
    draws = list(islice(sampler, 2000))
    begin = time.perf_counter()
    for draw in draws:
        dataset.pipeline.transforms[0](dataset.get_data_info(draw.video) | {'key_frame_id': draw.frame})
    print(f'{(time.perf_counter() - begin) / len(draws) * 1e3:.2f} ms a clip of {dataset.clip_length} before its '
          f'pictures are read')


def memory_mb():
    return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize() / 1e6


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == '__main__':
    main()
