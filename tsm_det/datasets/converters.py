"""What tools/convert_dataset.py can do: one command a format."""

from __future__ import annotations

from typing import NamedTuple

from tqdm import tqdm


class Flag(NamedTuple):
    """An argument of the command line; ``options`` are argparse's."""

    name: str
    help: str
    options: dict


class Command(NamedTuple):
    """A library function (module:name), its line of help, its arguments (named as the flags), and fixed ones."""

    function: str
    help: str
    flags: list[Flag]
    fixed: dict


def _flag(name: str, help: str, **options) -> Flag:
    return Flag(name, help, options)


_OUT = _flag('--out', 'CocoVID file to write', required=True)
_SEED = _flag('--seed', 'another one draws otherwise (default: 0)', type=int)
_ROOT = _flag('root', 'ILSVRC2015 folder that holds Annotations/, Data/ and ImageSets/')
_FOLDER = _flag('--out', 'folder for the CocoVID files', required=True)
_LISTS = _flag('--lists', 'folder of the lists of videos and stills (default: ROOT/ImageSets)')
_WORKERS = _flag('--workers', 'how many processes (default: one a core)', type=int)
_CLASSES = _flag('--classes', 'categories in order (default: the labels found, sorted)', nargs='+')

COMMANDS = {
    'synthvid': Command(
        'tsm_det.datasets.synthetic_vid:make_synthetic_vid', 'make up a small data set',
        [_flag('--out', 'folder to make', dest='root', required=True), _SEED], {'progress': tqdm}),
    'csv-videos': Command(
        'tsm_det.datasets.csv_videos:convert_csv_videos', 'videos NAME.mp4, boxes in NAME.csv',
        [_flag('folder', 'of NAME.mp4 and NAME.csv with the columns frame,label,x,y,width,height[,track]'),
         _OUT, _CLASSES,
         _flag('--max-gap', 'frames without a box that a linked track survives (default: 5)', type=int)],
        {'progress': tqdm}),
    'imagenet-vid': Command(
        'tsm_det.datasets.imagenet_converter:convert_imagenet_vid', 'ImageNet VID as published, train and val',
        [_ROOT, _FOLDER, _flag('--splits', 'default: both', nargs='+', choices=['train', 'val']), _LISTS, _WORKERS],
        {'progress': tqdm}),
    'imagenet-det': Command(
        'tsm_det.datasets.imagenet_converter:convert_imagenet_det', "the stills of ImageNet DET with VID's 30 classes",
        [_ROOT, _FOLDER, _LISTS, _WORKERS], {'progress': tqdm}),
    'split': Command(
        'tsm_det.datasets.split:split_file', 'hold out whole groups of videos of a CocoVID file',
        [_flag('file', 'CocoVID file'), _flag('--groups', 'CSV file with a line a video', required=True),
         _flag('--group-column', 'its column with the group (default: scene)'),
         _flag('--video-column', 'its column with the name of the video (default: clip)'),
         _flag('--fraction', 'share of the frames to hold out (default: 0.2)', type=float), _SEED,
         _flag('--out', 'CocoVID files to write', nargs=2, required=True, metavar=('KEPT', 'HELD_OUT'))], {}),
}
