"""8 frames a step, in all as many as 7 epochs of 15 key frames a video and the stills of DET have."""
train_cfg = dict(type='IterBasedTrainLoop', max_iters=97000, val_interval=97000)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=False, milestones=[27700, 69300], gamma=0.1),
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001),
    clip_grad=dict(max_norm=35, norm_type=2))
# Frames a step at lr 0.01, as clips of 8: one clip.
auto_scale_lr = dict(enable=False, base_batch_size=1)
