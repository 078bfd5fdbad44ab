"""Facts of cloud files that are no data set: neither texts nor splits are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spa3d.data.doctor.cloud_findings import judge_cloud
from spa3d.data.doctor.facts import measure
from spa3d.data.doctor.set_facts import SAMPLE, SampledCloud, SetFacts, choose_sample
from spa3d.data.formats.contract import note_kind
from spa3d.data.formats.read import parse_cloud
from spa3d.errors import DataError
from spa3d.runtime.progress import Reporter, SilentReporter


def survey_files(
    files: Sequence[tuple[Path, str]], refusal: str, *, count: int, seed: int = 0, reporter: Reporter | None = None
) -> SetFacts:
    """Read some of the clouds, unchecked.

    Args:
        files: path and name of each cloud.
        refusal: why they are no data set.
        count: number of clouds, a keyed sample.
        seed: of the sample.
        reporter: where progress goes; None: nowhere.

    """
    facts = SetFacts("none", "y", clouds_of=len(files), refusal=refusal)
    chosen = [files[index] for index in choose_sample(len(files), count, seed)]
    notes = dict[str, str]()
    with (reporter or SilentReporter()).track(len(chosen), "clouds") as advance:
        for path, name in chosen:
            try:
                cloud = parse_cloud(path)
                measured = measure(cloud, sample=SAMPLE, views=0)
                facts.clouds.append(SampledCloud(name, "", measured, tuple(judge_cloud(measured))))
                for note in cloud.notes:
                    notes.setdefault(note_kind(note), f"{path}: {note} (such a note is listed for one cloud only)")
            except DataError as error:
                facts.bad.append(str(error))
            advance(1)
    facts.notes = [*notes.values()]
    return facts
