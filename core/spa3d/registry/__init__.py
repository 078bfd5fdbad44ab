"""The registry: names to classes, from registry.yaml and from plugins."""

from spa3d.registry.create import available, create
from spa3d.registry.registry import Registry, load_registry, open_registry

__all__ = ["Registry", "available", "create", "load_registry", "open_registry"]
