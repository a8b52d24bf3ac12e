# Images of docker-compose.yaml. Build them with `docker compose build`; the versions come from the lock file that the
# tests run on.
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1
COPY requirements/airflow-3.3.2.txt /opt/lock.txt

# A local S3 for everything that would go to Amazon's.
FROM base AS s3
RUN pip install --constraint /opt/lock.txt "moto[s3,secretsmanager,server]"
RUN useradd --uid 50000 moto
USER moto
EXPOSE 5000

# Airflow with this provider; the emulator runs from the same image.
FROM base AS airflow
ENV AIRFLOW_HOME=/opt/airflow
COPY pyproject.toml README.md LICENSE NOTICE /opt/provider/
COPY airflow_provider_amc /opt/provider/airflow_provider_amc
RUN pip install --constraint /opt/lock.txt "/opt/provider[duckdb,emulator,postgres]" apache-airflow-providers-celery
RUN useradd --uid 50000 --gid 0 --no-create-home --home-dir /opt/airflow airflow \
    && install --directory --owner=airflow --group=root --mode=0775 /opt/airflow /opt/airflow/dags /opt/airflow/logs
USER airflow
WORKDIR /opt/airflow
EXPOSE 8080 8600
