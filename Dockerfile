# The report on a machine that has Docker and nothing else; CPU only.
#
#   docker build --tag dcpriv .
#   docker run --rm --volume "$PWD/results:/dcpriv/results" dcpriv          # make report
#   docker run --rm --volume "$PWD/results:/dcpriv/results" dcpriv make check
FROM python:3.12-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /dcpriv
COPY requirements.txt requirements-uv.txt pyproject.toml Makefile README.md LICENSE ./
COPY dcpriv_lib ./dcpriv_lib
RUN make .venv/ready
COPY . .
CMD ["make", "report"]
