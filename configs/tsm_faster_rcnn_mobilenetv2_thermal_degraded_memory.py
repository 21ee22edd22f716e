"""Shift and a memory of the best proposals of the last 64 frames, trained on clips of two segments of a video.

Every fifth frame is kept: with bursts as long as the gaps, frames of both are kept alike.
"""
_base_ = './tsm_faster_rcnn_mobilenetv2_thermal_degraded.py'
model = dict(roi_head=dict(type='MemoryRoIHead', memory=dict(k=16, recent=4, sparse=12, every=5)))
train_pipeline = _base_.train_pipeline
train_pipeline[0] = dict(type='SegmentedFrames', num_frames=4, segments=2, distance=10)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
