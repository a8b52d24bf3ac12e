"""Airflow sensors for AMC."""
