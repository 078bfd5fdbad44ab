"""The two pluggy markers; a plugin imports ``hookimpl`` from here (or from ``spa3d``)."""

from __future__ import annotations

import pluggy

hookspec = pluggy.HookspecMarker("spa3d")
hookimpl = pluggy.HookimplMarker("spa3d")
