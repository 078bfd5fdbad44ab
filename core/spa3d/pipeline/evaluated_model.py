"""The model of an evaluation: saved, and loaded at the first question, or in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from spa3d.artifacts.hashing import digest, hash_weights
from spa3d.artifacts.model_folder import find_model_folder
from spa3d.artifacts.workspace import Workspace
from spa3d.checkpoints.load import describe, read_special_tokens
from spa3d.contracts.encoder import Encoder
from spa3d.inference.session import ModelSource, Session
from spa3d.model.parts import create_part
from spa3d.model.precision import uses_bf16
from spa3d.pipeline.fingerprints import answering_fingerprint
from spa3d.registry.registry import Registry, load_registry
from spa3d.runtime.device import choose_device


class EvaluatedModel(ABC):
    """A model that is evaluated.

    Attributes:
        device: of the model.
        bf16: whether it runs under bfloat16 autocast.

    """

    device: torch.device
    bf16: bool

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name for titles and folders."""

    @property
    @abstractmethod
    def path(self) -> str:
        """The folder that the user named; empty for a model in memory."""

    @property
    @abstractmethod
    def content(self) -> str:
        """Hash of weights and processor."""

    @property
    @abstractmethod
    def special_tokens(self) -> Collection[str]:
        """Tokens that no text of its data may contain."""

    @property
    @abstractmethod
    def encoder(self) -> Encoder:
        """Its encoder, for what it needs of a cloud; the weights may be fresh."""

    @abstractmethod
    def open(self) -> Session:
        """The loaded model."""


class SavedModel(EvaluatedModel):
    """A model in a folder.

    Args:
        source: the folder, and how to load it.
        workspace: remembers the hashes of its files.

    """

    def __init__(self, source: ModelSource, workspace: Workspace) -> None:
        self.source, self.workspace = source, workspace
        self.folder = find_model_folder(source.path)
        self.device = choose_device(source.device)
        self.bf16 = uses_bf16(source.dtype, self.device)
        self._session: Session | None = None

    @property
    def name(self) -> str:
        """Name of the folder that the user named, or of the run that it is in."""
        named = Path(self.source.path).resolve()
        return named.parent.name if named.name == "model" else named.name

    @property
    def path(self) -> str:
        """The folder that the user named."""
        return str(self.source.path)

    @cached_property
    def content(self) -> str:
        """Hash of the files of its folder."""
        return self.workspace.hash_folder(self.folder)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything in it that decides an answer."""
        parts = [type(self.encoder), self._registry.target(self._registry.get("projector", self._projector))]
        return answering_fingerprint(self.content, parts, device=self.device.type, bf16=self.bf16)

    @cached_property
    def special_tokens(self) -> Collection[str]:
        """Those of its tokenizer, and the point tokens."""
        return read_special_tokens(self.folder)

    @cached_property
    def encoder(self) -> Encoder:
        """Its encoder with fresh weights."""
        encoder: Encoder = create_part(self._registry, "encoder", self._config.encoder)
        return encoder

    def open(self) -> Session:
        """Load the model at the first call."""
        if self._session is None:
            self._session = self.source.open()
        return self._session

    @cached_property
    def _registry(self) -> Registry:
        return load_registry(added=self.source.registry, plugins=self.source.plugins)

    @cached_property
    def _config(self) -> Any:
        return describe(self.folder, self._registry)

    @property
    def _projector(self) -> str:
        name: str = self._config.projector["name"]
        return name


class LoadedModel(EvaluatedModel):
    """A model in memory; its answers are not kept for later evaluations.

    Args:
        session: the model.

    """

    path = ""

    def __init__(self, session: Session) -> None:
        self.session, self.bf16 = session, session.generator.bf16
        self.device = session.model.device

    @property
    def name(self) -> str:
        """Name of its class."""
        return type(self.session.model).__name__

    @cached_property
    def content(self) -> str:
        """Hash of its weights and its configuration."""
        model, processor = self.session.model, self.session.processor
        return digest([hash_weights(model.state_dict()), model.config.to_diff_dict(), processor.to_dict()])

    @property
    def special_tokens(self) -> Collection[str]:
        """Those of its processor."""
        return self.session.processor.special_tokens

    @property
    def encoder(self) -> Encoder:
        """Its encoder."""
        return self.session.model.encoder

    def open(self) -> Session:
        """The given session."""
        return self.session
