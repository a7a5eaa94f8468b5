"""The sample library: what it holds, what it draws, and how it answers."""
