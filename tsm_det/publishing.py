"""Publish small weight files, listed with their metrics in a metafile."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from pathlib import Path

import torch
import yaml
from mmengine.config import Config
from mmengine.logging import print_log

from tsm_det.errors import InputError
from tsm_det.evaluation.evaluation_set import ground_truth_evaluator
from tsm_det.files import write_bytes, write_text
from tsm_det.locks import locked
from tsm_det.models.class_names import check_learned_classes
from tsm_det.models.loading import build_model
from tsm_det.models.trained_config import warn_of_other_config
from tsm_det.models.weights import load_weights
from tsm_det.sealed import seal

LARGEST_MB, ALL_MB = 12, 40  # per file, and over all files of a metafile
_PAPERS = {
    'TSM': {'URL': 'https://arxiv.org/abs/1811.08383',
            'Title': 'TSM: Temporal Shift Module for Efficient Video Understanding'},
    'TPS': {'URL': 'https://arxiv.org/abs/2207.13259',
            'Title': 'Spatiotemporal Self-attention Modeling with Temporal Patch Shift for Action Recognition'}}
_SHIFTS = {'TSM': 'Temporal Shift Module', 'TPS': 'Temporal Patch Shift'}
# The parts of a config that define network and training; others hold paths of a machine.
_KEPT = ('custom_imports', 'default_scope', 'model', 'train_pipeline', 'test_pipeline', 'train_cfg', 'optim_wrapper',
         'param_scheduler')


def publish(checkpoint: str, config: Config, config_file: str, metrics: str | os.PathLike, out: str | os.PathLike,
            half: bool = False, trust_checkpoint: bool = False) -> Path:
    """Write a checkpoint's weights, class names and config to ``FOLDER/NAME-HASH.pth``.

    The file loads with ``weights_only=True``. ``metafile.yml`` beside it, in mmdet's format, lists it in place of an
    older entry NAME. Publishing a published file again, with other metrics, gives the same bytes.

    Args:
        checkpoint: of a training, or a published file.
        config: of the training, from ``load_config``; ``config_file`` is its path.
        metrics: file from ``tools/test.py --metrics``.
        out: ``FOLDER/NAME.pth``.
        half: store half precision; loading gives single precision.
        trust_checkpoint: load a checkpoint of more than tensors and plain values, which may run any program.

    Raises:
        InputError: the files do not fit together, or exceed 12 MB in one file or 40 MB in all.
    """
    scores, out = _scores(metrics), Path(out)
    if out.suffix != '.pth':
        raise InputError(f'--out is {out} but must end in .pth: give FOLDER/NAME.pth')
    detector = build_model(config, trust_checkpoint)
    content = load_weights(detector, checkpoint, trust_checkpoint)
    warn_of_other_config(config, content, checkpoint)
    weights = {key: _stored(key, value, half) for key, value in content['state_dict'].items()}
    half = any(weight.dtype == torch.half for weight in weights.values())
    meta = {key: value for key, value in content.get('meta', {}).items() if key in ('iter', 'seed')}
    classes = check_learned_classes(detector, content, checkpoint)
    if classes:
        meta['dataset_meta'] = {'classes': classes}
    meta['cfg'] = Config({key: config[key] for key in _KEPT if key in config}).pretty_text
    buffer = io.BytesIO()
    torch.save({'meta': meta, 'state_dict': weights}, buffer)
    data = seal(buffer.getvalue())
    path = out.with_name(f'{out.stem}-{hashlib.sha256(data).hexdigest()[:8]}.pth')
    size_mb = len(data) / 1e6
    if size_mb > LARGEST_MB:
        raise InputError(f'{checkpoint} makes {size_mb:.1f} MB but a published file has at most {LARGEST_MB} MB: '
                         f'{"" if half else "give --half, or "}use a smaller model')
    metafile, dataset = out.with_name('metafile.yml'), config.train_dataloader.dataset
    collection = _collection(config.model)
    with locked(metafile):
        content = _with_entry(metafile, collection, {
            'Name': out.stem, 'In Collection': collection['Name'], 'Config': os.path.relpath(config_file),
            'Metadata': {
                'Training Data': _folder_and_file(os.path.join(dataset.get('data_root') or '', dataset.ann_file)),
                **{name: meta[key] for name, key in (('Iterations', 'iter'), ('Seed', 'seed')) if key in meta},
                'Parameters': sum(parameter.numel() for parameter in detector.parameters()),
                'Precision': 'float16' if half else 'float32', 'File Size (MB)': round(size_mb, 2),
                'Classes': list(classes or ())},
            'Results': [{'Task': 'Video Object Detection',
                         'Dataset': _folder_and_file(ground_truth_evaluator(config)['ann_file']), 'Metrics': scores}],
            'Weights': os.path.relpath(path)})
        write_bytes(data, path)
        write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), metafile)
    for old in set(out.parent.glob(f'{out.stem}-{"[0-9a-f]" * 8}.pth')) - {path}:
        print_log(f'{old} is an older file of this name and no longer listed: remove it', 'current')
    return path


def _stored(key: str, weight: torch.Tensor, half: bool) -> torch.Tensor:
    """Copy a weight, so that a larger storage behind it is not saved."""
    stored = weight.detach().clone()
    if not (half and stored.is_floating_point()):
        return stored
    stored = stored.half()
    if not torch.isfinite(stored).all():
        raise InputError(f'{key} has values beyond half precision: publish without --half')
    return stored


def _scores(path: str | os.PathLike) -> dict[str, float]:
    """COCO's AP and AP50 values of a metrics file that are defined, to four digits, and ``frames_scored``."""
    try:
        values = json.loads(Path(path).read_bytes())
        return {key: round(value, 4) for key, value in values.items()
                if value is not None and (key == 'coco/AP' or key.startswith('coco/AP50'))} | {
                    'frames_scored': values['frames_scored']}
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f'{path} is not a metrics file ({type(error).__name__}: {error}): give a file of '
                         'tools/test.py --metrics') from error


def _folder_and_file(path: str) -> str:
    return '/'.join(Path(path).parts[-2:])


def _collection(model: dict) -> dict:
    parts = [model.type, model.backbone.type, *([model.neck.type] if model.get('neck') else [])]
    names = [re.sub('RCNN$', ' R-CNN', re.sub('^(TSM|TPS)', '', part)) for part in parts]
    operator = model.backbone.get('operator', 'shift')
    if operator != 'shift':
        return {'Name': f'{names[0]} with {operator}', 'Metadata': {'Architecture': [*names, f'operator {operator}']}}
    shift = 'TPS' if model.backbone.type.startswith('TPS') else 'TSM'
    return {'Name': f'{shift} {names[0]}', 'Paper': _PAPERS[shift],
            'Metadata': {'Architecture': [*names, _SHIFTS[shift]]}}


def _with_entry(path: Path, collection: dict, entry: dict) -> dict:
    """Replace the entry of this name in a metafile; its collection lists the networks of all it ever had."""
    try:
        content = yaml.safe_load(path.read_text()) if path.is_file() else {}
        others = [model for model in (content or {}).get('Models', ()) if model['Name'] != entry['Name']]
        files = [path.with_name(Path(model['Weights']).name) for model in others]
        collections = {old['Name']: old for old in (content or {}).get('Collections', ())}
        known = collections.get(collection['Name'], collection)['Metadata']['Architecture']
    except (OSError, yaml.YAMLError, AttributeError, TypeError, KeyError) as error:
        raise InputError(f'{path} is not a metafile ({" ".join(str(error).split())}): fix or remove it') from error
    all_mb = entry['Metadata']['File Size (MB)'] + sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    if all_mb > ALL_MB:
        raise InputError(f'{path} would list {all_mb:.1f} MB of weights but the limit is {ALL_MB} MB: remove an entry')
    parts = list(dict.fromkeys([*known, *collection['Metadata']['Architecture']]))
    collections[collection['Name']] = {**collection, 'Metadata': {'Architecture': parts}}
    models = sorted([*others, entry], key=lambda model: model['Name'])
    return {'Collections': list(collections.values()), 'Models': models}
