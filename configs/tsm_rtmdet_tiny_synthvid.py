"""RTMDet-tiny as an online detector on synthetic video, one epoch from random weights.

mmdet's own config with TSM in three types; ``video_data`` replaces its images by clips.
"""
_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
custom_imports = dict(imports=['tsm_det'], allow_failed_imports=False)
video_data = 'synthvid'
model = dict(
    type='TSMRTMDet',
    backbone=dict(type='TSMCSPNeXt', init_cfg=None),
    neck=dict(type='TSMCSPNeXtPAFPN'),
    bbox_head=dict(num_classes=4))
randomness = dict(seed=0)
custom_hooks = [dict(type='SeedEachStep')]  # an average over 768 steps would hardly leave the random weights
train_cfg = dict(max_epochs=1, val_interval=1, dynamic_intervals=None)
param_scheduler = dict(
    _delete_=True, type='OneCycleLR', eta_max=2e-3, total_steps=1, by_epoch=True, convert_to_iter_based=True)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
