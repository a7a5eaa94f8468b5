"""The real project with other settings: its definitions on an ephemeral Dagster instance, against a server of ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg

from rocket_assets.archive import Archive
from rocket_assets.definitions import definitions
from rocket_assets.settings import API_TOKEN, API_URL, STORAGE, Settings
from rocket_assets.storage import Storage

BOTH = ("launches", "launch_images")


@dataclass
class Project:
    """Runs assets of the project as Dagster runs them, in this process."""

    api_url: str
    storage: Storage
    instance: dg.DagsterInstance
    token: str = ""
    storage_uri: str = ""
    """Another storage for the runs than the one that the test looks into."""

    @property
    def archive(self) -> Archive:
        """The days that the project has stored."""
        return Archive(self.storage)

    @property
    def definitions(self) -> dg.Definitions:
        """The project's definitions, with these settings."""
        environ = {
            API_URL.name: self.api_url,
            API_TOKEN.name: self.token,
            STORAGE.name: self.storage_uri or self.storage.uri,
        }
        return definitions(Settings.read(environ))

    def bring(self, start: str, end: str | None = None, assets: Sequence[str] = BOTH) -> dg.ExecuteInProcessResult:
        """One run: of one day as the UI launches it, or of a range as a backfill does."""
        tags = (
            {"dagster/partition": start}
            if end is None
            else {"dagster/asset_partition_range_start": start, "dagster/asset_partition_range_end": end}
        )
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            tags=tags,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )

    def bring_both(self, start: str, end: str) -> list[dg.ExecuteInProcessResult]:
        """A run for each asset over a range, as a backfill makes them."""
        return [self.bring(start, end, [asset]) for asset in BOTH]

    def recorded(self, asset: str) -> dict[str, dg.AssetMaterialization]:
        """The newest record of each day."""
        found = self.instance.fetch_materializations(dg.AssetKey(asset), limit=1000, ascending=True)
        return {
            record.partition_key: record.asset_materialization
            for record in found.records
            if record.partition_key and record.asset_materialization
        }

    def records(self, asset: str) -> int:
        """How many records there are, older ones included."""
        return len(self.instance.fetch_materializations(dg.AssetKey(asset), limit=1000).records)


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What a failed run says."""
    event = next(event for event in result.all_events if event.is_failure)
    if not event.is_step_failure:
        return str(event.job_failure_data.error)
    user_failure = event.step_failure_data.user_failure_data
    return (user_failure and user_failure.description) or str(event.step_failure_data.error)


def number(materialization: dg.AssetMaterialization, name: str) -> int:
    """A whole number in the metadata of a day."""
    value = materialization.metadata[name]
    assert isinstance(value, dg.IntMetadataValue)
    assert value.value is not None
    return value.value


def tree(folder: str | Path) -> dict[str, bytes]:
    """Every file below a folder, by its relative path."""
    root = Path(folder)
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def days(start: date, count: int) -> Iterator[date]:
    """So many days from one on."""
    return (date.fromordinal(start.toordinal() + n) for n in range(count))
