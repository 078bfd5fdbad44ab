"""The 3D LLM: encoder, projector and causal LM as one transformers model with its processor."""

from spa3d.runtime import torchvision_guard as torchvision_guard
