"""Weights for others: small files that nothing can run from, and a page of what each is."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
from pathlib import Path

import torch
import yaml
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope

from tsm_det.errors import InputError
from tsm_det.evaluation.evaluation_set import ground_truth_evaluator
from tsm_det.files import write_bytes, write_text
from tsm_det.models.loading import load_weights

LARGEST_MB, ALL_MB = 10, 20  # of one file, and of all that a metafile lists
_COLLECTION = {
    'Name': 'TSM Faster R-CNN',
    'Metadata': {'Architecture': ['Faster R-CNN', 'FPN', 'ResNet', 'Temporal Shift Module']},
    'Paper': {'URL': 'https://arxiv.org/abs/1811.08383',
              'Title': 'TSM: Temporal Shift Module for Efficient Video Understanding'}}
# Of the config, what a network was made and trained by; the rest says where files are on some machine.
_KEPT = ('custom_imports', 'default_scope', 'model', 'train_pipeline', 'test_pipeline', 'train_cfg', 'optim_wrapper',
         'param_scheduler')


def publish(checkpoint: str, config: Config, config_file: str, metrics: str | os.PathLike, out: str | os.PathLike,
            half: bool = False) -> Path:
    """Write the weights of a checkpoint, class names and config to a file with its hash in its name.

    ``metafile.yml`` beside it lists it, in mmdet's format, in place of what it lists by that name. A published file
    may be published again, with other metrics; the weights stay the same bytes.

    Args:
        checkpoint: of any training, or a published one.
        config: that it was trained with, from :func:`tsm_det.config.load_config`.
        config_file: its path, for the metafile.
        metrics: what ``tools/test.py --metrics`` wrote of it.
        out: ``FOLDER/NAME.pth``; the file becomes ``FOLDER/NAME-HASH.pth``.
        half: in half precision; loading gives single precision back.

    Raises:
        InputError: the files do not fit together, or there would be more than 10 MB in the file or 20 MB in all.
    """
    scores, out = _scores(metrics), Path(out)
    if out.suffix != '.pth':
        raise InputError(f'--out is {out} but weights are written as .pth: give FOLDER/NAME.pth')
    init_default_scope(config.get('default_scope', 'mmdet'))
    detector = MODELS.build(copy.deepcopy(config.model))  # building moves keys about in it
    content = load_weights(detector, checkpoint)
    weights = {key: _stored(key, value, half) for key, value in content['state_dict'].items()}
    half = any(weight.dtype == torch.half for weight in weights.values())
    meta = {key: value for key, value in content.get('meta', {}).items() if key in ('dataset_meta', 'iter', 'seed')}
    meta['cfg'] = Config({key: config[key] for key in _KEPT if key in config}).pretty_text
    buffer = io.BytesIO()
    torch.save({'meta': meta, 'state_dict': weights}, buffer)
    written = out.with_name(f'{out.stem}-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}.pth')
    size_mb = len(buffer.getvalue()) / 1e6
    if size_mb > LARGEST_MB:
        raise InputError(f'{checkpoint} makes {size_mb:.1f} MB but a published file has {LARGEST_MB} MB at the most: '
                         f'{"take a smaller model" if half else "give --half, or take a smaller model"}')
    entry = {'Name': out.stem, 'In Collection': _COLLECTION['Name'], 'Config': os.path.relpath(config_file),
             'Metadata': _metadata(config, meta, detector, half, size_mb), 'Results': [_results(config, scores)],
             'Weights': os.path.relpath(written)}
    metafile = _with_entry(out.with_name('metafile.yml'), entry)
    write_bytes(buffer.getvalue(), written)
    write_text(yaml.safe_dump(metafile, sort_keys=False, allow_unicode=True), out.with_name('metafile.yml'))
    for other in set(out.parent.glob(f'{out.stem}-{"[0-9a-f]" * 8}.pth')) - {written}:
        print_log(f'{other} was published by this name before and is listed no more: remove it', 'current')
    return written


def _stored(key: str, weight: torch.Tensor, half: bool) -> torch.Tensor:
    """A copy that owns its memory, so that no larger storage behind it is saved."""
    stored = weight.detach().clone()
    if not (half and stored.is_floating_point()):
        return stored
    stored = stored.half()
    if not torch.isfinite(stored).all():
        raise InputError(f'{key} has values that half precision cannot hold: publish without --half')
    return stored


def _scores(path: str | os.PathLike) -> dict[str, float]:
    """COCO's AP50 of everything and of parts, and AP, to four digits; what is undefined is left out."""
    try:
        values = json.loads(Path(path).read_bytes())
        return {key: round(value, 4) for key, value in values.items()
                if value is not None and (key == 'coco/AP' or key.startswith('coco/AP50'))} | {
                    'frames_scored': values['frames_scored']}
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f'{path} cannot be read as metrics ({type(error).__name__}: {error}): give what '
                         'tools/test.py --metrics wrote') from error


def _results(config: Config, scores: dict[str, float]) -> dict:
    return {'Task': 'Video Object Detection', 'Dataset': _dataset(ground_truth_evaluator(config)['ann_file']),
            'Metrics': scores}


def _metadata(config: Config, meta: dict, detector: torch.nn.Module, half: bool, size_mb: float) -> dict:
    dataset = config.train_dataloader.dataset
    return {'Training Data': _dataset(os.path.join(dataset.get('data_root') or '', dataset.ann_file)),
            **({'Iterations': meta['iter']} if 'iter' in meta else {}),
            **({'Seed': meta['seed']} if 'seed' in meta else {}),
            'Parameters': sum(parameter.numel() for parameter in detector.parameters()),
            'Precision': 'float16' if half else 'float32', 'File Size (MB)': round(size_mb, 2),
            'Classes': list(meta.get('dataset_meta', {}).get('classes', ()))}


def _dataset(ann_file: str) -> str:
    """An annotation file by its name and its folder's, wherever the folder is."""
    return '/'.join(Path(ann_file).parts[-2:])


def _with_entry(path: Path, entry: dict) -> dict:
    """The metafile's content with an entry in place of that of the same name."""
    try:
        content = yaml.safe_load(path.read_text()) if path.is_file() else {}
        others = [model for model in (content or {}).get('Models', ()) if model['Name'] != entry['Name']]
        files = [path.with_name(Path(model['Weights']).name) for model in others]
    except (OSError, yaml.YAMLError, AttributeError, TypeError, KeyError) as error:
        raise InputError(f'{path} is no metafile ({" ".join(str(error).split())}): mend or remove it') from error
    all_mb = entry['Metadata']['File Size (MB)'] + sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    if all_mb > ALL_MB:
        raise InputError(f'{path} would list {all_mb:.1f} MB of weights but {ALL_MB} MB are the most: take one off it')
    return {'Collections': [_COLLECTION], 'Models': sorted([*others, entry], key=lambda model: model['Name'])}
