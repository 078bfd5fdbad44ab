"""Reading of saved models and of published weights."""

from spa3d.runtime import torchvision_guard as torchvision_guard
