"""Airflow operators for AMC, one module a noun of the API."""
