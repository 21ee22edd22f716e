"""docs/own_data.md does what it says: its files are written and its commands run, in order, on tiny videos."""

import csv
import json
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from tests.cocovid.csv_folder import write_video
from tests.cocovid.image_folder import write_images
from tsm_det.config import load_config

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'own_data.md').read_text()
NARROW = ('model.backbone.base_channels=8 model.neck.in_channels=8,16,32,64 model.neck.out_channels=16 '
          'model.rpn_head.in_channels=16 model.rpn_head.feat_channels=16 '
          'model.roi_head.bbox_roi_extractor.out_channels=16 model.roi_head.bbox_head.in_channels=16 ')
# What makes a step take a second: appended to the commands of the page.
SHORT = {
    'train': '--cfg-options train_cfg.max_iters=2 train_cfg.val_interval=2 param_scheduler.total_steps=2 '
             'train_dataloader.batch_size=1 train_dataloader.num_workers=0 train_dataloader.persistent_workers=False '
             + NARROW,
    'test': f'--cfg-options {NARROW}', 'detect_video': f'--cfg-options {NARROW}'}
TRACK = ('<track id="0" label="bird"><box frame="0" outside="0" xtl="1" ytl="1" xbr="9" ybr="9"/>'
         '<box frame="1" outside="0" xtl="2" ytl="1" xbr="10" ybr="9"/></track>')


def blocks(language):
    """(name of the file that the text before it ends in, if any; text) of each block of the page."""
    found = re.findall(rf'(?:`([^`\n]+)`:\n\n)?```{language}\n(.*?)```', PAGE, re.DOTALL)
    assert found
    return found


def commands():
    return [line for _, block in blocks('bash') for line in block.splitlines()]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with the configs and files of the page and what a user brings to it; the current folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / 'configs', 'configs')
    for name, text in blocks('csv'):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    with open('data/birds/scenes.csv', newline='') as file:
        for clip in [line['clip'] for line in csv.DictReader(file)]:
            write_video(Path(f'data/birds/videos/{clip}.mp4'))
            table = Path(f'data/birds/videos/{clip}.csv')
            table.write_text(Path('data/birds/videos/north_1.csv').read_text())
    bring_other_formats()
    return tmp_path


def bring_other_formats():
    for folder in ('data/cvat/exports/walk', 'data/cvat/videos', 'data/mot/a/gt'):
        Path(folder).mkdir(parents=True)
    write_video(Path('data/cvat/videos/walk.mp4'))
    Path('data/cvat/exports/walk/annotations.xml').write_text(f'<annotations>{TRACK}</annotations>')
    write_images(Path('data/mot/a/img1'), ['000001.jpg', '000002.jpg'])
    Path('data/mot/a/gt/gt.txt').write_text('1,1,3,3,5,5,1,2,1\n2,1,3,3,5,5,1,2,1\n')
    names = ['cam1_000001.jpg', 'cam1_000002.jpg']
    write_images(Path('data/coco/frames'), names)
    Path('data/coco/boxes.json').write_text(json.dumps({
        'images': [{'id': number, 'file_name': name} for number, name in enumerate(names)],
        'annotations': [{'id': 1, 'image_id': 0, 'category_id': 1, 'bbox': [1, 1, 5, 5]}],
        'categories': [{'id': 1, 'name': 'bird'}]}))


@pytest.fixture
def birds(clone, monkeypatch):
    """The config of the page, written by its commands; the current folder is that of ``clone``."""
    for line in commands()[:4]:
        assert run(line, monkeypatch) == 0, line
    return Path('configs/birds.py')


def run(line, monkeypatch):
    """Run a command line of the page in this process, shortened; returns its exit status."""
    line = re.sub(r'\$\(cat (\S+)\)', lambda found: Path(found[1]).read_text(), line)
    python, tool, *arguments = shlex.split(line)
    assert python == 'python'
    MMLogger._instance_dict.clear()  # a logger of an earlier test writes to that test's closed output
    monkeypatch.setattr(sys, 'argv', [tool, *arguments, *SHORT.get(Path(tool).stem, '').split()])
    try:
        monkeypatch.syspath_prepend(ROOT / 'tools')
        runpy.run_path(str(ROOT / tool), run_name='__main__')
    except SystemExit as end:
        return end.code or 0
    return 0


@pytest.mark.slow
def test_every_command_of_the_page_runs(clone, monkeypatch):
    for line in commands():
        assert run(line, monkeypatch) == 0, line
    metrics = json.loads((clone / 'work_dirs' / 'birds' / 'metrics.json').read_text())
    assert metrics['frames_scored'] == metrics['frames_total'] > 0
    assert len((clone / 'work_dirs' / 'birds' / 'pond_1.jsonl').read_text().splitlines()) == 6


def test_the_config_of_the_page_holds_what_it_says(birds):
    config = load_config(str(birds))
    loaders = [config[f'{part}_dataloader'].dataset for part in ('train', 'val', 'test')]
    assert [loader.ann_file for loader in loaders] == [f'data/birds/{name}.json' for name in ('train', 'val', 'val')]
    assert {(loader.data_prefix.img_path, tuple(loader.metainfo.classes)) for loader in loaders} == {
        ('data/birds/videos', ('bird', 'drone'))}
    assert [config.val_evaluator.ann_file, config.test_evaluator.ann_file] == ['data/birds/val.json'] * 2
    assert config.model.roi_head.bbox_head.num_classes == 2
    assert config.param_scheduler.total_steps == config.train_cfg.max_iters == 2000


def test_a_2d_run_is_one_line_away(birds):
    base, = re.findall(r"`(_base_ = .+)`", PAGE)
    birds.write_text(re.sub(r'^_base_ = .*$', base, birds.read_text(), flags=re.MULTILINE))
    config = load_config(str(birds))
    assert (config.model.backbone.shift_stages, config.model.roi_head.bbox_head.num_classes) == ((), 2)
