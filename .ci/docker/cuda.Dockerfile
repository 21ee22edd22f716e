# docker build -f .ci/docker/cuda.Dockerfile -t tsm_det:cuda .
# docker run --rm --gpus all -v "$PWD:/data" tsm_det:cuda detect VIDEO --device cuda:0 --out drawn.mp4
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04
RUN apt-get update && apt-get install -y --no-install-recommends g++ python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /venv
ENV PATH=/venv/bin:$PATH
RUN pip install --no-cache-dir torch==2.11.0 --index-url https://download.pytorch.org/whl/cu130 \
    && pip install --no-cache-dir numpy 'setuptools<81' wheel ninja psutil packaging
# No GPU is visible while an image is built: FORCE_CUDA compiles the kernels all the same, for these architectures.
RUN FORCE_CUDA=1 TORCH_CUDA_ARCH_LIST='8.0;8.6;8.9;9.0' MMCV_WITH_OPS=1 \
    pip install --no-cache-dir --no-build-isolation onedl-mmcv==2.3.6
COPY . /source
RUN pip install --no-cache-dir --no-build-isolation '/source[onedl]' \
    && pip install --no-cache-dir --force-reinstall --no-deps opencv-python-headless==4.12.0.88
ENV OMP_WAIT_POLICY=PASSIVE
WORKDIR /data
ENTRYPOINT ["tsm-det"]
