"""The classic pipeline on Apache Airflow, to measure ours against."""
