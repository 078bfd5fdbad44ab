"""Post-training and the stages of the base: one trainer, any objective."""

from spa3d import torchvision_guard as torchvision_guard
