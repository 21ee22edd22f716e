"""Write frames of a video with bursts of strong noise, as tests of degraded thermal video have, as PNG files.

    python docs/programs/degraded_video.py VIDEO FOLDER [FRAMES]
"""

import itertools
import sys
from pathlib import Path

import cv2
from mmdet.registry import TRANSFORMS
from mmengine.registry import init_default_scope

from tsm_det.config import config_path, load_config
from tsm_det.video.video_file import VideoFile


def main(video: str, folder: Path, frames: int = 96) -> None:
    """Degrade the first frames."""
    config = load_config(config_path('tsm_faster_rcnn_mobilenetv2_thermal_degraded'))
    init_default_scope('mmdet')
    bursts = TRANSFORMS.build(config.test_bursts)
    folder.mkdir(parents=True)
    for number, image in enumerate(itertools.islice(VideoFile(video), frames)):
        degraded = bursts({'img': image, 'video_id': Path(video).stem, 'frame_id': number})['img']
        cv2.imwrite(str(folder / f'{number:06d}.png'), degraded)


if __name__ == '__main__':
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
