"""Packaging. The OpenMMLab stack is an extra: its two distributions overwrite each other's files."""

from pathlib import Path

from setuptools import find_packages, setup

namespace: dict = {}
exec(Path('tsm_det/version.py').read_text(), namespace)

extras = {
    'decord': ['decord'],
    'demo': ['gradio>=6,<7'],
    'docs': ['furo', 'myst-nb', 'sphinx'],
    'onnx': ['onnx', 'onnxruntime', 'onnxscript'],
    'openvino': ['nncf>=3.4', 'onnx', 'onnxscript', 'openvino>=2026.4'],
}

setup(
    name='tsm_det',
    version=namespace['__version__'],
    description='Online video object detection with the Temporal Shift Module, as an mmdetection plugin',
    long_description=Path('README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10,<3.13',
    packages=[*find_packages(include=['tsm_det', 'tsm_det.*']), 'tsm_det.configs', 'tsm_det.configs._base_'],
    package_dir={'tsm_det.configs': 'configs', 'tsm_det.configs._base_': 'configs/_base_'},
    package_data={'tsm_det': ['py.typed']},
    install_requires=['av>=17', 'matplotlib', 'numpy', 'pillow', 'pycocotools', 'scipy', 'tqdm'],
    extras_require={
        'onedl': ['onedl-mmengine==0.10.12', 'onedl-mmcv==2.3.6', 'onedl-mmdetection==3.5.1', 'opencv-python<5'],
        'openmmlab': ['mmengine==0.11.0rc3', 'mmcv==2.1.0', 'mmdet==3.3.0', 'opencv-python<5'],
        **extras,
        'dev': ['hypothesis', 'mypy', 'pytest', 'pytest-xdist', 'ruff', 'websockets', *extras['demo'], *extras['docs'],
                *extras['onnx'], *extras['openvino']],
    },
)
