"""What the project costs, measured side by side with what a person would use instead; `make bench` runs it."""
