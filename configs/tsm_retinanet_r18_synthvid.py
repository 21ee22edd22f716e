"""Small single-stage online detector on synthetic video, one epoch from random weights."""
_base_ = ['./_base_/tsm_retinanet_r18_small.py', './_base_/synthvid.py', './_base_/schedule_small_epochs.py']
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1))
log_processor = dict(by_epoch=True)
