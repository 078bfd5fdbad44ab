"""Resolve settings: fill one configuration layer by layer, and validate it as a whole.

From weak to strong: defaults of `RunConfig` < the LLM's and the components' presets < the run preset < its settings
for the objective < the model of ``--base`` < the given settings in their order (on a command line: YAML < flags).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from spa3d.config.choices import Choice, Choices, choose
from spa3d.config.foreign_flags import describe_pointer
from spa3d.config.hub_ids import is_hub_id
from spa3d.config.idle import STAGES, ExplicitSettings, idle_errors
from spa3d.config.layers import Layers, Location
from spa3d.config.settings import EncoderSelection, RunConfig, Selection
from spa3d.config.sources import (
    CHECKPOINT,
    Assignment,
    Settings,
    Source,
    fixed_location,
    plugins_of,
    read_source,
    registry_of,
)
from spa3d.errors import ConfigError, SpaError
from spa3d.registry.fields import describe_error, errors_of, field_at, from_text
from spa3d.registry.kinds import CHOSEN, CHOSEN_ONCE, CHOSEN_SEVERAL, kind_spec
from spa3d.registry.located_yaml import Keys
from spa3d.registry.manifest import RunPreset, weights_source
from spa3d.registry.registry import Registry, ResolvedName, describe_missing, load_registry
from spa3d.runtime.paths import file_problem, folder_problem


def resolve(*settings: Settings, registry: Registry | None = None) -> RunConfig:
    """Resolve settings to a complete, validated run configuration.

    Args:
        settings: mappings with the keys of a run's config.yaml, nested or dotted; each overrides those before it.
            The settings of a component belong to the name beside them: if a later mapping chooses another component,
            they are dropped.
        registry: components and presets that can be chosen; by default those of registry.yaml, the installed
            plugins, and the file and plugins named in the settings.

    Raises:
        ConfigError: all errors, one line each, with the key.
        RegistryError: the registry itself cannot be used.
        PluginError: one of the plugins cannot be loaded.

    """
    sources = [read_source(each) for each in settings]
    return resolve_choices(choose(sources, registry or load_registry_of(*sources)))


def load_registry_of(*settings: Settings) -> Registry:
    """Load registry.yaml, the installed plugins, and the file and plugins named in the settings.

    Raises:
        RegistryError: the registry cannot be used.
        PluginError: one of the plugins cannot be loaded.

    """
    sources = [read_source(each) for each in settings]
    return load_registry(added=registry_of(sources), plugins=plugins_of(sources))


def resolve_choices(choices: Choices) -> RunConfig:
    """Resolve chosen names and their settings to a complete, validated run configuration.

    Raises:
        ConfigError: all errors, one line each.

    """
    resolver = ConfigResolver(choices)
    resolver.apply_layers()
    config = resolver.validate()
    if config is None or resolver.errors:
        raise ConfigError(list(dict.fromkeys(resolver.errors)))
    return config


class ConfigResolver:
    """Builds a configuration from choices, layer by layer, and collects errors."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.manifest = choices.registry.manifest
        self.errors = list(choices.errors)
        self.layers, self.explicit = Layers(), ExplicitSettings()
        self.resolved: dict[Keys, ResolvedName] = {}
        self.models: dict[Keys, type[BaseModel]] = {}

    def apply_layers(self) -> None:
        """Apply every layer, the weakest first."""
        self._apply_defaults()
        if self.choices.llm:
            self._apply_llm(self.choices.llm)
        for choice in self.choices.components:
            self._apply_component(choice)
        self._apply_run_preset()
        for number, source in enumerate(self.choices.sources):
            for assignment in source.assignments:
                if self._applies(source, assignment):
                    self._assign(assignment)
                    self.explicit.add(assignment, number)
        for stage in STAGES:
            epochs, steps = (*stage, "epochs"), (*stage, "steps")
            if epochs in self.explicit.sources and steps not in self.explicit.sources:  # not those of a preset
                self.layers.set_value(steps, 0, fixed_location(self.layers.location(epochs)))
        self.errors += self.layers.errors

    def _apply_defaults(self) -> None:
        for name, setting in RunConfig.model_fields.items():
            if not setting.is_required():
                value = setting.get_default(call_default_factory=True)
                self.layers.set_value(
                    (name,), value.model_dump() if isinstance(value, BaseModel) else value, fixed_location(name)
                )
        self.layers.set_value(("plugins",), plugins_of(self.choices.sources), fixed_location("--plugin"))
        self.layers.set_value(("registry",), registry_of(self.choices.sources), fixed_location("--registry"))
        self.layers.set_value(("preset",), self.choices.preset, fixed_location("preset"))

    def _apply_llm(self, choice: Choice) -> None:
        presets = self.manifest.presets.llm
        self.layers.set_value(("llm_name",), choice.name, fixed_location(choice.location))
        if choice.name in presets:
            self.layers.set_value(
                ("llm",), presets[choice.name].config, self._preset_location("llm", choice.name, "config")
            )
        elif not folder_problem(choice.name) or is_hub_id(choice.name):
            self.layers.set_value(("llm", "path"), choice.name, fixed_location(choice.location))
        else:
            error = describe_missing("llm", choice.name, presets, "tools/list llm")
            self.errors.append(f"{choice.location}: {error}; nor is there a folder of that name")

    def _apply_component(self, choice: Choice) -> None:
        """Import a component: its Config validates its settings, its preset is their first layer."""
        registry = self.choices.registry
        try:
            resolved = registry.resolve(choice.kind, choice.name, run_preset=self.choices.preset or None)
            model = registry.target(resolved.component).Config
        except SpaError as error:
            self.errors.append(f"{choice.location}: {error}")
            return
        name, saved = resolved.component.name, choice.saved_component
        if saved and saved != name:
            self.errors.append(
                f"{choice.location}: {choice.name!r} stood for {saved!r} when this was saved, now for {name!r}"
            )
        self.models[choice.keys], self.resolved[choice.keys] = model, resolved
        self.layers.name(choice.keys, choice.error_location)
        preset = resolved.preset or ""
        self.layers.set_value(choice.keys, resolved.config, self._preset_location(choice.kind, preset, "config"))
        if preset:
            points = self.manifest.presets.of_kind(choice.kind)[preset].points
            self.layers.set_value(("points",), points, self._preset_location(choice.kind, preset, "points"))

    def _apply_run_preset(self) -> None:
        name = self.choices.preset
        preset = self.manifest.presets.run.get(name, RunPreset())
        self.layers.set_value((), preset.settings, self._preset_location("run", name, "settings"))
        for choice in self.choices.components:
            if choice.kind == "objective" and choice.keys in self.resolved:
                names = (choice.name, self.resolved[choice.keys].component.name)
                known = next((name for name in names if name in preset.objectives), "")
                settings = preset.objectives.get(known, {})
                self.layers.set_value(("train",), settings, self._preset_location("run", name, "objectives", known))

    def _applies(self, source: Source, assignment: Assignment) -> bool:
        """Whether a value applies: its component is chosen, and its source names no other one."""
        kind = str(assignment.keys[0]) if assignment.keys else ""
        if kind == "llm":
            return self._chooses(source, self.choices.llm)
        if kind not in CHOSEN:
            return True
        chosen = {choice.keys: choice for choice in self.choices.components if choice.kind == kind}
        keys = assignment.keys[: 2 if kind in CHOSEN_SEVERAL else 1]
        if keys in chosen:
            return keys in self.models and self._chooses(source, chosen[keys])
        if assignment.dotted:
            names = ", ".join(choice.name for choice in chosen.values()) or "none"
            self.errors.append(f"{assignment.location(())}: {keys[-1]!r} is not chosen; chosen: {names}")
        return False

    def _chooses(self, source: Source, choice: Choice | None) -> bool:
        name = source.names.get(choice.kind) if choice else None
        return name is None or choice is None or name.name == choice.name

    def _assign(self, assignment: Assignment) -> None:
        value, keys = assignment.value, assignment.keys
        if assignment.dotted and isinstance(value, str):
            field = self._find_field(keys)
            value = from_text(value, field) if field else value
        self.layers.set_value(keys, value, assignment.location)

    def _find_field(self, keys: Keys) -> Any:
        for length in (1, 2):
            if keys[:length] in self.models:
                return field_at(self.models[keys[:length]], keys[length:])
        return field_at(RunConfig, keys)

    def validate(self) -> RunConfig | None:
        """Validate the whole configuration; None if it is invalid. All errors are collected."""
        values = {key: value for key, value in self.layers.values.items() if key not in CHOSEN}
        values |= {kind: {"requested": "", "component": ""} for kind in CHOSEN_ONCE}
        values |= {kind: [] for kind in CHOSEN_SEVERAL}
        for choice in self.choices.components:
            if choice.keys in self.models:
                selection = self._make_selection(choice)
                if choice.kind in CHOSEN_SEVERAL:
                    values[choice.kind].append(selection)
                else:
                    values[choice.kind] = selection
        self._check_machine()
        try:
            config = RunConfig.model_validate(values)
        except ValidationError as error:
            self._add_errors(RunConfig, error, ())
            return None
        self.errors += idle_errors(config, self.explicit, self.layers)
        return config

    def _make_selection(self, choice: Choice) -> Selection:
        resolved, model = self.resolved[choice.keys], self.models[choice.keys]
        names = {"requested": choice.name, "component": resolved.component.name, "preset": resolved.preset or ""}
        values = dict(self.layers.block(choice.keys))
        has_weights = kind_spec(choice.kind).has_weights
        checkpoint = values.pop("checkpoint", "") if has_weights else ""
        config: dict[str, Any] = {}
        try:
            config = model.model_validate(values).model_dump(mode="json")
        except ValidationError as error:
            self._add_errors(model, error, choice.keys)
        if not has_weights:
            return Selection(**names, config=config)
        return EncoderSelection(**names, config=config, checkpoint=self._check_checkpoint(checkpoint))

    def _check_checkpoint(self, value: Any) -> str:
        """Check that the file of an encoder's weights exists; `pipeline.assemble` reads it."""
        if isinstance(value, str) and (not value or not (file_problem(value) and folder_problem(value))):
            return value
        error = file_problem(value) if isinstance(value, str) else f"{value!r} is no file"
        error = error.replace("no such file", "no such file or folder")
        source = weights_source(self.manifest, self.resolved["encoder",].preset or "")
        self.errors.append(f"{self.layers.location(CHECKPOINT)}: {error}; {source or 'give a file of weights'}")
        return ""

    def _add_errors(self, model: type[BaseModel], error: ValidationError, start: Keys) -> None:
        for each in errors_of(error):
            keys: Keys = (*start, *each["loc"])
            dotted = ".".join(map(str, keys))
            what = f"--{dotted} " if each["type"] == "missing" else ""
            pointer = describe_pointer(dotted) if each["type"] == "extra_forbidden" else ""
            text = f"no such setting; {pointer}" if pointer else f"{what}{describe_error(model, each)}"
            self.errors.append(f"{self.layers.location(keys) or dotted}: {text}")

    def _check_machine(self) -> None:
        """Check what depends on this machine: folders, devices, backends."""
        base = self.layers.block(("base",))["path"]
        problem = folder_problem(base) if base and isinstance(base, str) else ""
        if problem:
            self.errors.append(f"{self.layers.location(('base', 'path'))}: {problem}; a base is a saved 3D LLM")
        device, backend = self.layers.values["device"], self.layers.values["ops"]
        if device not in ("auto", "cpu"):
            self._try(("device",), lambda: _choose_device(str(device)))
        if backend != "auto":
            registry = self.choices.registry
            self._try(("ops",), lambda: registry.target(registry.get("ops", str(backend))))

    def _try(self, keys: Keys, attempt: Callable[[], object]) -> None:
        try:
            attempt()
        except SpaError as error:
            location = self.layers.location(keys)
            self.errors.append(f"{location}: {str(error).removeprefix(f'{location}: ')}")

    def _preset_location(self, *start: str) -> Location:
        return lambda rest: self.manifest.location("presets", *start, *rest)


def _choose_device(name: str) -> object:
    from spa3d.runtime.device import choose_device  # imports torch, only needed for an explicit device

    return choose_device(name)
