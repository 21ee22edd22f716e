"""One-cycle AdamW from random weights; its length stands in max_iters and total_steps."""
max_iters = 600
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=max_iters)
param_scheduler = dict(type='OneCycleLR', eta_max=2e-3, total_steps=max_iters, by_epoch=False)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=10))
