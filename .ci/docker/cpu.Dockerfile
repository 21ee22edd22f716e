# docker build -f .ci/docker/cpu.Dockerfile -t tsm_det:cpu .
# docker run --rm -v "$PWD:/data" tsm_det:cpu detect VIDEO --out drawn.mp4
FROM python:3.11-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
RUN pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-cache-dir numpy 'setuptools<81' wheel ninja psutil packaging
# mmcv is compiled here, about 11 minutes on 2 cores, and again only when the lines above change.
RUN MMCV_WITH_OPS=1 pip install --no-cache-dir --no-build-isolation onedl-mmcv==2.3.6
COPY . /source
RUN pip install --no-cache-dir --no-build-isolation '/source[onedl,onnx]' \
    && pip install --no-cache-dir --force-reinstall --no-deps opencv-python-headless==4.12.0.88

FROM python:3.11-slim
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH OMP_WAIT_POLICY=PASSIVE
WORKDIR /data
ENTRYPOINT ["tsm-det"]
