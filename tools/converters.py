"""The commands of tools/convert_dataset.py. Standard library only, so that --help does not wait for torch."""

from __future__ import annotations

from typing import NamedTuple


class Flag(NamedTuple):
    """A command-line argument; ``options`` are those of argparse."""

    name: str
    help: str
    options: dict


class Command(NamedTuple):
    """A library function (module:name), its help, an example, flags named like its arguments, and a progress bar."""

    function: str
    help: str
    example: str
    flags: list[Flag]
    shows_progress: bool = True


def _flag(name: str, help: str, **options) -> Flag:
    return Flag(name, help, options)


_OUT = _flag('--out', 'CocoVID file to write', required=True)
_SEED = _flag('--seed', 'random seed (default: 0)', type=int)
_ROOT = _flag('root', 'ILSVRC2015 folder that holds Annotations/, Data/ and ImageSets/')
_FOLDER = _flag('--out', 'folder for the CocoVID files', required=True)
_LISTS = _flag('--lists', 'folder with the lists of videos and stills (default: ROOT/ImageSets)')
_WORKERS = _flag('--workers', 'number of processes (default: one per core)', type=int)
_CLASSES = _flag('--classes', 'categories in order (default: the labels found, sorted)', nargs='+')
_IGNORE = _flag('--ignore', 'labels of ignored regions: training and scoring count no detection in them', nargs='+',
                metavar='LABEL')
_LABELLED = _flag('--labelled-frames-only', 'leave out frames without a label, because nobody labelled them (default: '
                  'they count as empty)', action='store_true')
_FIRST_FRAME = _flag('--first-frame', 'number of the first frame in the rows (default: found out from them)', type=int,
                     choices=[0, 1])
_MAX_GAP = _flag('--max-gap', 'largest gap in a linked track: frame numbers between two of its boxes (default: 5); if '
                 'only every k-th frame has labels, at least k - 1', type=int)
_IMAGES = _flag('--images', 'folder that its file names are relative to', required=True)
_XML = _flag('source', 'XML file, or folder with XML files')

COMMANDS = {
    'synthvid': Command(
        'tsm_det.datasets.synthetic_vid:make_synthetic_vid', 'generate a small synthetic data set',
        '--out data/synthvid',
        [_flag('--out', 'folder to create', dest='root', required=True), _SEED]),
    'csv-videos': Command(
        'tsm_det.cocovid.convert.csv_videos:convert_csv_videos', 'videos NAME.mp4, boxes in NAME.csv',
        'data/birds/videos --out data/birds/all.json',
        [_flag('folder', 'folder with NAME.mp4 and NAME.csv (frame,label,x,y,width,height[,track])'),
         _OUT, _CLASSES, _FIRST_FRAME, _IGNORE, _LABELLED, _MAX_GAP]),
    'mot': Command(
        'tsm_det.cocovid.convert.mot:convert_mot', "sequences in MOTChallenge's layout",
        'data/mot --classes bird drone --out data/mot/all.json',
        [_flag('root', 'a sequence, with gt/gt.txt and img1/ or a video, or a folder of sequences'), _OUT,
         _flag('--classes', "names of the classes 1, 2, ... (default: gt/labels.txt; MOTChallenge's for MOT16, MOT17 "
               'and MOT20)', nargs='+'),
         _flag('--origin', 'number of the first pixel in gt.txt (default: 1)', type=int, choices=[0, 1]),
         _FIRST_FRAME, _IGNORE, _LABELLED, _MAX_GAP]),
    'cvat': Command(
        'tsm_det.cocovid.convert.cvat:convert_cvat', 'tasks exported as "CVAT for video 1.1" or "for images 1.1"',
        'data/cvat/exports --videos data/cvat/videos --out data/cvat/all.json',
        [_XML, _flag('--videos', 'folder with the videos, or with folders of images', required=True), _OUT,
         _flag('--classes', 'categories in order (default: the labels of the tasks)', nargs='+'),
         _flag('--interpolate', 'fill the frames between the boxes of a track, as CVAT does between key frames',
               action='store_true'), _IGNORE, _LABELLED, _MAX_GAP]),
    'coco-frames': Command(
        'tsm_det.cocovid.convert.coco_frames:convert_coco_frames', 'frames as images, boxes in a COCO file',
        'data/coco/boxes.json --images data/coco/frames --out data/coco/all.json',
        [_flag('file', 'COCO file'), _IMAGES, _OUT, _IGNORE, _LABELLED, _MAX_GAP]),
    'visdrone': Command(
        'tsm_det.cocovid.convert.visdrone:convert_visdrone', 'VisDrone VID or MOT as published',
        'data/VisDrone2019-VID-train --out data/visdrone/train.json',
        [_flag('root', 'folder of a split, with annotations/ and sequences/'), _OUT, _IGNORE, _MAX_GAP]),
    'kitti': Command(
        'tsm_det.cocovid.convert.kitti:convert_kitti', 'KITTI tracking as published',
        'data/kitti/training --out data/kitti/all.json',
        [_flag('root', 'folder training/, with label_02/ and image_02/'), _OUT, _CLASSES, _IGNORE, _MAX_GAP]),
    'ua-detrac': Command(
        'tsm_det.cocovid.convert.ua_detrac:convert_ua_detrac', 'UA-DETRAC as published, one XML file per sequence',
        'data/detrac/xml --images data/detrac/images --out data/detrac/all.json',
        [_XML, _flag('--images', 'folder with a folder of images per sequence', required=True), _OUT, _CLASSES,
         _IGNORE]),
    'bdd100k': Command(
        'tsm_det.cocovid.convert.bdd100k:convert_bdd100k', 'BDD100K as published: box_track_20',
        'data/bdd100k/labels --images data/bdd100k/images/track/train --out data/bdd100k/all.json',
        [_flag('source', 'JSON file, or folder with JSON files'),
         _flag('--images', 'folder of the images, e.g. images/track/train', required=True), _OUT, _CLASSES, _IGNORE,
         _MAX_GAP]),
    'youtube-vis': Command(
        'tsm_det.cocovid.convert.youtube_vis:convert_youtube_vis', 'YouTube-VIS, OVIS, UVO: JSON with bboxes per track',
        'data/ytvis/instances.json --images data/ytvis/JPEGImages --out data/ytvis/all.json',
        [_flag('file', 'JSON file'), _IMAGES, _OUT, _IGNORE]),
    'tao': Command(
        'tsm_det.cocovid.convert.tao:convert_tao', 'TAO as published',
        'data/tao/annotations/train.json --images data/tao/frames --out data/tao/all.json',
        [_flag('file', 'JSON file'), _IMAGES, _OUT, _IGNORE]),
    'yolo': Command(
        'tsm_det.cocovid.convert.yolo:convert_yolo', 'frames as images with a YOLO text file each',
        'data/yolo --classes bird drone --out data/yolo/all.json',
        [_flag('root', 'folder with images/ and labels/, or images and text files side by side'), _OUT,
         _flag('--classes', 'names of the classes 0, 1, ... (default: data.yaml, classes.txt or obj.names)', nargs='+'),
         _IGNORE, _LABELLED, _MAX_GAP]),
    'voc': Command(
        'tsm_det.cocovid.convert.voc:convert_voc', 'frames as images with a Pascal VOC XML file each',
        'data/voc/Annotations --images data/voc/JPEGImages --out data/voc/all.json',
        [_XML, _IMAGES, _OUT, _CLASSES,
         _flag('--origin', '1: corners are pixels counted from 1; 0: coordinates in px (default: 0 if any corner is 0 '
               'or a fraction, else 1)', type=int, choices=[0, 1]), _IGNORE, _LABELLED, _MAX_GAP]),
    'label-studio': Command(
        'tsm_det.cocovid.convert.label_studio:convert_label_studio', 'videos labelled in Label Studio',
        'data/studio/project.json --videos data/studio/videos --out data/studio/all.json',
        [_flag('file', 'project exported as JSON'),
         _flag('--videos', 'folder with the videos', required=True), _OUT, _CLASSES, _IGNORE]),
    'darklabel': Command(
        'tsm_det.cocovid.convert.darklabel:convert_darklabel', 'videos NAME.mp4, boxes of DarkLabel in NAME.txt',
        'data/darklabel --out data/darklabel/all.json',
        [_flag('folder', 'folder with NAME.mp4 and NAME.txt'), _OUT,
         _flag('--layout', 'columns as data_fmt of darklabel.yml, e.g. fn,cname,id,x1,y1,w,h (default: the known '
               'layout that fits)'), _CLASSES, _FIRST_FRAME, _IGNORE, _LABELLED, _MAX_GAP]),
    'check': Command(
        'tsm_det.cocovid.check:check_file', 'list the problems and the contents of a CocoVID file',
        'data/birds/all.json --images data/birds/videos',
        [_flag('file', 'CocoVID file'),
         _flag('--images', 'folder that its file names are relative to (default: folder of the file)'),
         _flag('--every-frame', 'decode all frames (default: three per video)', action='store_true')]),
    'imagenet-vid': Command(
        'tsm_det.cocovid.convert.imagenet_converter:convert_imagenet_vid', 'ImageNet VID as published, train and val',
        'data/ILSVRC --out data/ILSVRC/annotations',
        [_ROOT, _FOLDER, _LISTS, _WORKERS,
         _flag('--splits', 'splits to convert (default: train val)', nargs='+', choices=['train', 'val'])]),
    'imagenet-det': Command(
        'tsm_det.cocovid.convert.imagenet_converter:convert_imagenet_det',
        "the stills of ImageNet DET, VID's 30 classes",
        'data/ILSVRC --out data/ILSVRC/annotations',
        [_ROOT, _FOLDER, _LISTS, _WORKERS]),
    'split': Command(
        'tsm_det.cocovid.split:split_file', 'hold out whole groups of videos of a CocoVID file',
        'data/birds/all.json --fraction 0.3 --out data/birds/train.json data/birds/val.json',
        [_flag('file', 'CocoVID file'),
         _flag('--groups', 'CSV file with one row per video (default: each video is its own group)'),
         _flag('--group-column', 'column of --groups with the group (default: scene)'),
         _flag('--video-column', 'column of --groups with the name of the video (default: clip)'),
         _flag('--fraction', 'share of the frames to hold out (default: 0.2)', type=float), _SEED,
         _flag('--out', 'CocoVID files to write', nargs=2, required=True, metavar=('KEPT', 'HELD_OUT'))],
        shows_progress=False),
    'select': Command(
        'tsm_det.cocovid.select:select_frames', 'keep some frames of each video of a CocoVID file',
        'data/birds/all.json --every 5 --out data/birds/every_5th.json',
        [_flag('file', 'CocoVID file'), _OUT,
         _flag('--every', 'keep every N-th frame of each video (default: 1)', type=int, metavar='N'),
         _flag('--first', 'keep the first N frames of each video (default: all)', type=int, metavar='N'),
         _flag('--renumber', 'number the kept frames 0, 1, 2, ... (default: keep frame_id)',
               action='store_true')], shows_progress=False),
}
