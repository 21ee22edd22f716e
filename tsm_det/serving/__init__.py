"""A local web page that shows the detector at work on a webcam or a video."""
