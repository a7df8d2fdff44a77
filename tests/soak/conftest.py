"""The long runs are made of what the end-to-end tests are made of."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from fixtures import *  # noqa: E402,F401,F403
