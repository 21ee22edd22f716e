"""Pipelines of clips, which dataset configs extend: in training, all frames of a clip share random parameters."""
train_pipeline = [
    dict(type='ConsecutiveFrames', num_frames=4),
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[dict(type='LoadFrame'), dict(type='LoadTrackAnnotations')]),
    dict(type='PackTrackInputs', meta_keys=('segment',)),
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[dict(type='LoadFrame'), dict(type='LoadTrackAnnotations')]),
    dict(type='PackTrackInputs', meta_keys=('frame_in_file',)),
]
