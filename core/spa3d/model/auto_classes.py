"""Registration of `Spa3dModel` with transformers' Auto classes, done on import."""

from __future__ import annotations

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoProcessor

from spa3d.model.configuration import Spa3dConfig
from spa3d.model.modeling import Spa3dModel
from spa3d.model.processing import Spa3dProcessor

AutoConfig.register(Spa3dConfig.model_type, Spa3dConfig, exist_ok=True)
AutoModel.register(Spa3dConfig, Spa3dModel, exist_ok=True)
AutoModelForCausalLM.register(Spa3dConfig, Spa3dModel, exist_ok=True)
AutoProcessor.register(Spa3dConfig, Spa3dProcessor, exist_ok=True)
