"""Phase two of the parser: every setting of what was chosen, filled in layers and validated as a whole.

From weak to strong: defaults of `RunConfig` < the LLM's and the components' presets < the run preset < its settings
for the objective < YAML < flags.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from spa3d.config.choices import OPTIONS, SWITCHES, TOGGLES, Choice, Request
from spa3d.config.layers import Layers, Place
from spa3d.config.overrides import Flag
from spa3d.config.run_file import CHECKPOINT, COMPONENTS
from spa3d.config.settings import EncoderSelection, RunConfig, Selection
from spa3d.errors import ConfigError, SpaError
from spa3d.registry.fields import complaint, faults_of, field_at, from_text, unknown
from spa3d.registry.located_yaml import Keys
from spa3d.registry.manifest import RunPreset, published_weights
from spa3d.registry.registry import Resolved, missed

CHOSEN = (*COMPONENTS, "benchmark")
BLOCKS = ("llm", "points", "base", "pairs", "train", "evaluate")
PLAIN = ("seed", "device", "threads", "dtype", "ops", "cache-limit-gb", "on-bad-data")
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def fill(request: Request) -> RunConfig:
    """Every setting of a run, filled and validated.

    Raises:
        ConfigError: every fault there is, one line each.

    """
    filling = Filling(request)
    filling.lay_all()
    config = filling.validated()
    if config is None or filling.faults:
        raise ConfigError(list(dict.fromkeys(filling.faults)))
    return config


class Filling:
    """The layers of one request, the models of what it chose, and the faults found on the way."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.manifest = request.registry.manifest
        self.faults = list(request.faults)
        self.layers = Layers()
        self.resolved: dict[Keys, Resolved] = {}
        self.models: dict[Keys, type[BaseModel]] = {}

    def lay_all(self) -> None:
        """Lay every layer, the weakest first."""
        self._lay_defaults()
        if self.request.llm:
            self._lay_llm(self.request.llm)
        for choice in self.request.components:
            self._lay_component(choice)
        self._lay_run_preset()
        self._lay_file()
        for flag in self.request.arguments.flags:
            self._lay_flag(flag)
        self.faults += self.layers.faults

    def _lay_defaults(self) -> None:
        for name, setting in RunConfig.model_fields.items():
            if not setting.is_required():
                value = setting.get_default(call_default_factory=True)
                self.layers.lay((name,), value.model_dump() if isinstance(value, BaseModel) else value, _at(name))
        plugins = [*self.request.arguments.values("plugin"), *self.request.file.plugins]
        self.layers.lay(("plugins",), tuple(dict.fromkeys(plugins)), _at("--plugin"))
        self.layers.lay(("preset",), self.request.preset, _at("preset"))

    def _lay_llm(self, choice: Choice) -> None:
        presets = self.manifest.presets.llm
        self.layers.lay(("llm_name",), choice.name, _at(choice.place))
        if choice.name in presets:
            self.layers.lay(("llm",), presets[choice.name].config, self._preset("llm", choice.name, "config"))
        elif _may_be_model(choice.name):
            self.layers.lay(("llm", "path"), choice.name, _at(choice.place))
        else:
            fault = missed("llm", choice.name, presets, "tools/list llm")
            self.faults.append(f"{choice.place}: {fault}; nor is there a folder of that name")

    def _lay_component(self, choice: Choice) -> None:
        """Import the component; its Config is the model of its settings, its preset their first layer."""
        registry = self.request.registry
        try:
            resolved = registry.resolve(choice.kind, choice.name, run_preset=self.request.preset or None)
            model = registry.target(resolved.component).Config
        except SpaError as error:
            self.faults.append(f"{choice.place}: {error}")
            return
        name, saved = resolved.component.name, choice.block.component
        if saved and saved != name:
            self.faults.append(
                f"{choice.place}: {choice.name!r} stood for {saved!r} when this was saved, now for {name!r}"
            )
        self.models[choice.keys], self.resolved[choice.keys] = model, resolved
        self.layers.name(choice.keys, choice.whole)
        preset = resolved.preset or ""
        self.layers.lay(choice.keys, resolved.config, self._preset(choice.kind, preset, "config"))
        if preset:
            points = self.manifest.presets.of(choice.kind)[preset].points
            self.layers.lay(("points",), points, self._preset(choice.kind, preset, "points"))

    def _lay_run_preset(self) -> None:
        name = self.request.preset
        preset = self.manifest.presets.run.get(name, RunPreset())
        self.layers.lay((), preset.settings, self._preset("run", name, "settings"))
        for choice in self.request.components:
            if choice.kind == "objective" and choice.keys in self.resolved:
                names = (choice.name, self.resolved[choice.keys].component.name)
                known = next((name for name in names if name in preset.objectives), "")
                settings = preset.objectives.get(known, {})
                self.layers.lay(("train",), settings, self._preset("run", name, "objectives", known))

    def _lay_file(self) -> None:
        located = self.request.file.located
        self.layers.lay((), self.request.file.settings, lambda rest: located.place(*rest))
        for choice in (*self.request.components, *((self.request.llm,) if self.request.llm else ())):
            if choice.kind == "llm" or choice.keys in self.models:
                self._lay_block(choice)

    def _lay_block(self, choice: Choice) -> None:
        located, keys = self.request.file.located, choice.block.keys
        self.layers.lay(choice.keys, choice.block.values, lambda rest: located.place(*keys, *rest))
        if choice.block.checkpoint is not None:
            self.layers.lay(CHECKPOINT, choice.block.checkpoint, _at(located.place(*CHECKPOINT)))

    def _lay_flag(self, flag: Flag) -> None:
        if flag.name in TOGGLES:
            name, value = TOGGLES[flag.name]
            self.layers.lay((name,), value, _at(str(flag)))
        elif flag.name not in (*OPTIONS, *SWITCHES, *CHOSEN, "llm"):
            keys = self._keys(flag)
            if keys:
                typed = flag.value or ""
                setting = self._field(keys)
                self.layers.lay(keys, from_text(typed, setting) if setting else typed, _at(str(flag)))

    def _keys(self, flag: Flag) -> Keys | None:
        """The setting that a flag means; None where it means none, which is a fault, or one that has its own."""
        head, *rest = flag.name.split(".")
        fields = tuple(part.replace("-", "_") for part in rest)
        if head == "benchmark" and len(rest) > 1:
            return self._of_component(flag, (head, rest[0]), fields[1:])
        if head in COMPONENTS and rest:
            return self._of_component(flag, (head,), fields)
        if flag.name == "base":
            return ("base", "path")
        if head in BLOCKS:
            return (head, *fields)
        if head.replace("_", "-") in PLAIN and not rest:
            return (head.replace("-", "_"),)
        known = [*CHOSEN, *BLOCKS, *PLAIN, *OPTIONS, *SWITCHES]
        self.faults.append(f"{flag}: {unknown('flag', f'--{flag.name}', [f'--{name}' for name in known])}")
        return None

    def _of_component(self, flag: Flag, keys: Keys, fields: Keys) -> Keys | None:
        chosen = [choice for choice in self.request.components if choice.keys[0] == keys[0]]
        if keys not in [choice.keys for choice in chosen]:
            names = ", ".join(choice.name for choice in chosen) or "none"
            self.faults.append(f"{flag}: {keys[-1]!r} is not chosen; chosen: {names}")
        return (*keys, *fields) if keys in self.models else None

    def _field(self, keys: Keys) -> Any:
        for length in (1, 2):
            if keys[:length] in self.models:
                return field_at(self.models[keys[:length]], keys[length:])
        return field_at(RunConfig, keys)

    def validated(self) -> RunConfig | None:
        """The whole configuration, checked; every fault is noted."""
        values = {key: value for key, value in self.layers.values.items() if key not in CHOSEN}
        for kind in COMPONENTS:
            values[kind] = {"asked": "", "component": ""}
        values["benchmark"] = []
        for choice in self.request.components:
            if choice.keys in self.models:
                selection = self._selection(choice)
                if choice.kind == "benchmark":
                    values["benchmark"].append(selection)
                else:
                    values[choice.kind] = selection
        self._check_surroundings()
        try:
            return RunConfig.model_validate(values)
        except ValidationError as error:
            self._note(RunConfig, error, ())
            return None

    def _selection(self, choice: Choice) -> Selection:
        resolved, model = self.resolved[choice.keys], self.models[choice.keys]
        asked = {"asked": choice.name, "component": resolved.component.name, "preset": resolved.preset or ""}
        values = dict(self.layers.block(choice.keys))
        checkpoint = values.pop("checkpoint", "") if choice.kind == "encoder" else ""
        config: dict[str, Any] = {}
        try:
            config = model.model_validate(values).model_dump(mode="json")
        except ValidationError as error:
            self._note(model, error, choice.keys)
        if choice.kind != "encoder":
            return Selection(**asked, config=config)
        return EncoderSelection(**asked, config=config, checkpoint=self._checkpoint(checkpoint))

    def _checkpoint(self, given: Any) -> str:
        """The file of an encoder's weights, if it is there; what is in it is looked at by the assembly."""
        if isinstance(given, str) and (not given or Path(given).exists()):
            return given
        fault = "no such file or folder" if isinstance(given, str) else f"{given!r} is no file"
        published = published_weights(self.manifest, self.resolved["encoder",].preset or "")
        self.faults.append(f"{self.layers.place(CHECKPOINT)}: {fault}; {published or 'give a file of weights'}")
        return ""

    def _note(self, model: type[BaseModel], error: ValidationError, at: Keys) -> None:
        for fault in faults_of(error):
            keys: Keys = (*at, *fault["loc"])
            dotted = ".".join(map(str, keys))
            what = f"--{dotted} " if fault["type"] == "missing" else ""
            self.faults.append(f"{self.layers.place(keys) or dotted}: {what}{complaint(model, fault)}")

    def _check_surroundings(self) -> None:
        """What only this machine can tell: folders, devices, backends."""
        base = self.layers.block(("base",))["path"]
        if base and isinstance(base, str) and not Path(base).is_dir():
            self.faults.append(f"{self.layers.place(('base', 'path'))}: no such folder; a base is a saved 3D LLM")
        device, backend = self.layers.values["device"], self.layers.values["ops"]
        if device not in ("auto", "cpu"):
            self._try(("device",), lambda: _choose_device(str(device)))
        if backend != "auto":
            registry = self.request.registry
            self._try(("ops",), lambda: registry.target(registry.get("ops", str(backend))))

    def _try(self, keys: Keys, attempt: Callable[[], object]) -> None:
        try:
            attempt()
        except SpaError as error:
            place = self.layers.place(keys)
            self.faults.append(f"{place}: {str(error).removeprefix(f'{place}: ')}")

    def _preset(self, *start: str) -> Place:
        return lambda rest: self.manifest.place("presets", *start, *rest)


def _choose_device(name: str) -> object:
    from spa3d.runtime.device import choose_device  # it brings torch, so it is not imported for every run

    return choose_device(name)


def _at(place: str) -> Place:
    return lambda rest: place


def _may_be_model(name: str) -> bool:
    """A folder, or a name on the hub: two words around a slash, and not a path into a folder that is there."""
    path = Path(name)
    return path.is_dir() or (HUB_NAME.fullmatch(name) is not None and not path.parent.is_dir())
