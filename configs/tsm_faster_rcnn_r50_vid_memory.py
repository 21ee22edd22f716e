"""Shift and a memory of the best proposals of the last 68 frames, trained on clips of two segments of a video.

Segments are a second apart. As many clips per step as without a memory: with fewer the detector learned less.
"""
_base_ = './tsm_faster_rcnn_r50_vid.py'
model = dict(roi_head=dict(type='MemoryRoIHead', memory=dict(k=16, recent=4, sparse=8, every=8)))
train_pipeline = _base_.train_pipeline
train_pipeline[0] = dict(type='SegmentedFrames', num_frames=8, segments=2, distance=32)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
