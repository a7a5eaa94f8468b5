"""Tests of the Dagster half."""
