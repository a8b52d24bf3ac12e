"""Links from the Airflow UI to the AMC console."""
