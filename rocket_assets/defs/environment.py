"""The environment, read once, when Dagster loads the project.

The only place of the Dagster half that reads `os.environ`; the command line reads its own. A setting that does not fit
keeps the project from loading, with a sentence that names the variable.
"""

import os

from rocket_assets.settings import Settings

SETTINGS = Settings.read(os.environ)
