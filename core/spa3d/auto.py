"""``import spa3d.auto`` lets transformers' Auto classes load a run's ``model/`` folder."""

from __future__ import annotations

from spa3d.runtime import torchvision_guard as torchvision_guard  # isort: split

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoProcessor

from spa3d.model.configuration import Spa3dConfig
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor

AutoConfig.register(Spa3dConfig.model_type, Spa3dConfig, exist_ok=True)
AutoModel.register(Spa3dConfig, Spa3dModel, exist_ok=True)
AutoModelForCausalLM.register(Spa3dConfig, Spa3dModel, exist_ok=True)
AutoProcessor.register(Spa3dConfig, Spa3dProcessor, exist_ok=True)
