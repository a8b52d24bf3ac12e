"""Airflow triggers for AMC: what waits without holding a worker."""
