# The API, the housekeeping and the migrations: the parts of emotune that load no torch and need no GPU.
#
#   docker build -t emotune-api:0.1.0 .
#
# Packages come from pip's default index. To use another one, pass it to the build:
#   docker build --build-arg PIP_INDEX_URL --build-arg NPM_CONFIG_REGISTRY .
FROM python:3.12.13-slim-bookworm AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG NPM_CONFIG_REGISTRY
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
COPY . .
# Node.js comes as a package: scripts/build_backend.py asks for the release that the dashboard is built with everywhere.
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=cache,target=/root/.npm \
    pip wheel --no-deps --wheel-dir /wheels .
RUN python -m venv /opt/emotune
RUN --mount=type=cache,target=/root/.cache/pip \
    wheel="$(ls /wheels/emotune-*.whl)" \
    && /opt/emotune/bin/pip install --constraint constraints.txt "${wheel}[otel]"
RUN /opt/emotune/bin/pip check && /opt/emotune/bin/pip uninstall --yes pip

FROM python:3.12.13-slim-bookworm
COPY --from=build /opt/emotune /opt/emotune
# The user may have any number: docker-compose.yml sets that of the host's account. It has no entry in /etc/passwd and
# no home, hence these variables.
ENV PATH=/opt/emotune/bin:$PATH HOME=/tmp USER=emotune LOGNAME=emotune \
    EMOTUNE_DATA_DIR=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["emotune", "health", "api"]
ENTRYPOINT ["emotune"]
CMD ["api"]
