"""One-cycle AdamW from random weights by epochs: max_epochs and total_steps are the same number."""
max_epochs = 1
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs)
param_scheduler = dict(
    type='OneCycleLR', eta_max=2e-3, total_steps=max_epochs, by_epoch=True, convert_to_iter_based=True)
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=10))
