"""Loaders, one a kind of warehouse. The kind of the Airflow connection chooses."""
