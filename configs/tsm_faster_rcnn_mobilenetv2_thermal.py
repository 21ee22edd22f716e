"""Small online detector on thermal video, on MobileNetV2; frames are enlarged 1.5 times.

Give weights trained on ImageNet by --cfg-options model.backbone.init_cfg.type=Pretrained
model.backbone.init_cfg.checkpoint=FILE, a file in mmdet's names (tools/convert_weights.py makes one).
"""
_base_ = './tsm_faster_rcnn_r18_thermal.py'
model = dict(
    data_preprocessor=dict(prob=0.15),
    backbone=dict(_delete_=True, type='TSMMobileNetV2', out_indices=(1, 2, 4, 6), norm_eval=False),
    neck=dict(in_channels=[24, 32, 96, 320]))
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[1].transforms[2].scale = test_pipeline[0].transforms[2].scale = (480, 384)
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1), 'backbone.temporal': dict(lr_mult=1)}))
train_cfg = dict(max_iters=600, val_interval=600)
param_scheduler = dict(total_steps=600)
