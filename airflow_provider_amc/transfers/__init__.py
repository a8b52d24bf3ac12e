"""Airflow transfers: from results of an AMC execution to object storage and to tables."""
