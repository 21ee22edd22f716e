"""Shift and a memory of the best proposals of the last 68 frames."""
_base_ = './tsm_faster_rcnn_r50_vid.py'
model = dict(roi_head=dict(type='MemoryRoIHead', memory=dict(k=16, recent=4, sparse=8, every=8)))
