"""Judge: a verdict on free answers, from question, reference and prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from spa3d.contracts.benchmark import Question, Verdict
from spa3d.contracts.config import ComponentConfig


class Judge(ABC):
    """Grades a free-form answer."""

    Config: ClassVar[type[ComponentConfig]] = ComponentConfig

    def __init__(self, **values: Any) -> None:
        self.config: Any = self.Config(**values)

    @abstractmethod
    def judge(self, question: Question, text: str) -> Verdict:
        """Judge `text` as an answer to `question`, whose reference is ``question.answer``."""
