"""How much of a frame the gates of a gated memory let in, in bursts of each kind of degradation and between them.

    python docs/programs/gate_values.py CHECKPOINT VIDEO [VIDEO ...]

Means over sites and the first 24 frames of each video, the first frame left out.
"""

import itertools
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from degradation_map import CONFIGS, LEVELS
from mmdet.registry import TRANSFORMS
from tqdm import tqdm

from tsm_det import OnlineDetector
from tsm_det.models.operators import GatedMemory
from tsm_det.video.video_file import VideoFile


def watched(detector: OnlineDetector) -> list[float]:
    """A list to which each gate that is computed is added from now on."""
    gates: list[float] = []

    def watch(module: GatedMemory, inputs: tuple, _: tuple) -> None:
        frames, _, past = inputs
        if past is not None:
            gates.append(module.gate(module.quality(frames), past[:, :-1]).item())

    for module in detector.model.modules():
        if isinstance(module, GatedMemory):
            module.register_forward_hook(watch)
    return gates


def main(checkpoint: str, videos: Sequence[str]) -> None:
    """Print a row per level."""
    detector = OnlineDetector.from_config(CONFIGS['gate'], checkpoint)
    gates = watched(detector)
    print('| level | in bursts | between them |\n|---|---|---|')
    for name, (kind, length, gap) in tqdm(LEVELS.items()):
        if kind['type'] == 'FrozenFrames' or not gap:  # frozen frames are as good as the others
            continue
        bursts = TRANSFORMS.build(dict(type='Bursts', seed=0, transforms=[kind], length=length, gap=gap))
        found = defaultdict(list)
        for video in videos:
            detector.reset()
            for number, image in enumerate(itertools.islice(VideoFile(video), 24)):
                frame = bursts({'img': image, 'video_id': Path(video).stem, 'frame_id': number})
                gates.clear()
                detector(frame['img'])
                found[frame['burst_place'] is not None] += gates if number else []
        print(f'| `{name}` | {" | ".join(f"{fmean(found[bad]):.2f}" for bad in (True, False))} |')


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
