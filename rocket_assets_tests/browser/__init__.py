"""What a person sees: Dagster's UI with the project in it, and the gallery, in a real browser."""
