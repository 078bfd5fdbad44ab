"""Post-training and the stages of the base: one trainer, any objective."""

from spa3d.runtime import torchvision_guard as torchvision_guard
