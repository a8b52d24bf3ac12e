"""Airflow hook: a connection becomes an AMC client."""
