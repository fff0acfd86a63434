# One image for every process of the mesh; the command picks which one. See docker-compose.yml.
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/parley && python -m venv /opt/build

# What it needs, apart from what it is: a change of the sources does not install it again.
COPY pyproject.toml constraints.txt ./
RUN /opt/build/bin/pip install -q -c constraints.txt pip hatchling \
 && /opt/parley/bin/pip install -q -c constraints.txt pip \
 && python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > requirements.txt \
 && /opt/parley/bin/pip install -q -c constraints.txt -r requirements.txt

COPY README.md LICENSE ./
COPY cards cards
COPY wire wire
COPY registry registry
COPY agents agents
COPY systems systems
COPY torture torture
COPY coordinator coordinator
# A link in the coordinator leads there: the wheel has them too.
COPY workflows workflows
RUN /opt/build/bin/pip wheel -q --no-build-isolation --no-deps --wheel-dir /src/dist . \
 && /opt/parley/bin/pip install -q --no-deps /src/dist/*.whl \
 && /opt/parley/bin/pip check

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin parley \
 && install -d -o parley -g parley -m 0700 /data
COPY --from=build /opt/parley /opt/parley
COPY workflows /app/workflows
ENV PATH=/opt/parley/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PARLEY_HOME=/data
WORKDIR /app
USER parley
VOLUME /data
EXPOSE 8420
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8420/healthz', timeout=3)"]
CMD ["python", "-m", "parley_coordinator", "--host", "0.0.0.0"]
