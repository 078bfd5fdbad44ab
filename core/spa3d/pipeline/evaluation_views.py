"""Views of an evaluated model; the model is loaded when the first of them is used."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from spa3d.errors import ConfigError
from spa3d.inference.prepared_clouds import PreparedClouds
from spa3d.inference.session import Session
from spa3d.inference.views import BlindView, CleanView, NoisedView, TwinView, View, ViewEncoder, Views, built_in_views
from spa3d.pipeline.evaluated_model import EvaluatedModel
from spa3d.pipeline.evaluation_settings import EvaluationContent, EvaluationSettings
from spa3d.runtime.row_store import RowStore


class EvaluationViews:
    """Views of a model that may not be loaded yet.

    Args:
        model: that is evaluated.
        content: names of its views, or functions that make them; data and noise.
        settings: the seed of the noise.
        open_tokens: opens the store of the tokens of the loaded model's encoder; None: they are not stored.

    """

    def __init__(
        self,
        model: EvaluatedModel,
        content: EvaluationContent,
        settings: EvaluationSettings,
        open_tokens: Callable[[Session], RowStore | None],
    ) -> None:
        self.model, self.content, self.settings, self._open_tokens = model, content, settings, open_tokens

    @cached_property
    def names(self) -> list[str]:
        """Names of the requested views, in order; raises `ConfigError` for one that there is not."""
        views = self.content.views
        own = [] if all(isinstance(view, str) for view in views) else [view.name for view in self._own_views.values()]
        there = [CleanView.name, TwinView.name, BlindView.name]
        there += [NoisedView.name] if self.content.noise else []
        names = [view if isinstance(view, str) else self._own_views[id(view)].name for view in views]
        missing = [name for name in names if name not in (*there, *own)]
        if missing:
            raise ConfigError(f"no view {missing[0]!r}; there are: {', '.join(dict.fromkeys([*there, *own]))}")
        return names

    @cached_property
    def views(self) -> Views:
        """All views of the loaded model."""
        built_in = built_in_views(self._encoder, noise=self.content.noise, seed=self.settings.seed)
        return Views(self._encoder, [*built_in.values(), *self._own_views.values()])

    @cached_property
    def _encoder(self) -> ViewEncoder:
        session = self.model.open()
        store = RowStore(None, (session.model.config.num_points, 6))
        least = session.model.encoder.min_points
        clouds = PreparedClouds(
            self.content.dataset, session.processor, store, min_points=least, requested_by="the encoder"
        )
        return ViewEncoder(session.model, clouds, self._open_tokens(session))

    @cached_property
    def _own_views(self) -> dict[int, View]:
        """The views that the caller makes, by the identity of their functions."""
        return {id(view): view(self._encoder) for view in self.content.views if not isinstance(view, str)}
