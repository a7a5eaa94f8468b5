"""A small Launch Library to run against without a network: facts, drawn pictures, and a server like the real one.

Nothing here imports Dagster, and nothing here is imported by the parts that talk to a Launch Library.
"""
