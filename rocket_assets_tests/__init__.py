"""The tests of rocket_assets, in the same tree: `rocket_assets/x/y.py` is tested by `rocket_assets_tests/x/test_y.py`.

A test's name is a sentence that is true. Its doubles are real: servers on port 0, temporary folders, a memory store, an
ephemeral Dagster instance. None of our own names is patched.
"""
