"""A plugin that needs something that is not installed, and finds out too early."""

import a_package_nobody_has  # noqa: F401
