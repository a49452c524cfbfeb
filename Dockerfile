# For GPUs: docker build -t floodloom:cuda .
# For processors: docker build --build-arg TORCH_INDEX=… -t floodloom . with the address of the index
# of PyTorch's CPU wheels (pytorch.org, "Start locally"); PyPI's are those for CUDA.
# To run: docker run --read-only --tmpfs /tmp --volume "$PWD:/project" --user "$(id -u)" floodloom map …
ARG PYTHON=3.11
FROM docker.io/library/python:${PYTHON}-slim-bookworm AS build
ARG TORCH_INDEX=""
WORKDIR /source
RUN python -m venv /opt/floodloom
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/floodloom/bin/pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
      --constraint constraints.txt '.[classical,cluster,s3]'

FROM docker.io/library/python:${PYTHON}-slim-bookworm
COPY --from=build /opt/floodloom /opt/floodloom
# The root file system may be read-only: what is cached lies in /tmp, results in /project.
ENV PATH=/opt/floodloom/bin:/usr/local/bin:/usr/bin:/bin
ENV HOME=/tmp
# Snakemake asks for the name of a user, who may be any (--user).
ENV USER=floodloom
ENV XDG_CACHE_HOME=/tmp/cache
ENV NUMBA_CACHE_DIR=/tmp/numba
ENV MPLCONFIGDIR=/tmp/matplotlib
ENV PYTHONDONTWRITEBYTECODE=1
RUN install --directory --owner=10001 --group=10001 /project
USER 10001:10001
WORKDIR /project
ENTRYPOINT ["floodloom"]
CMD ["--help"]
