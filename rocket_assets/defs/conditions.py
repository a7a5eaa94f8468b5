"""When something follows by itself: whenever what it is made from is not what it was made from.

The pictures of a day follow its launches, what is made of a month follows the pictures of its days, and the index of
the gallery follows its months. Each record says what it was made for: its data version begins with that. So nothing is
remembered here that could be lost, and it does not matter who brought what, in which order two events of the same
moment came, or whether the daemon was running. Which partitions a backfill is bringing already, Dagster's own
condition says.

Most looks find that nothing has happened, and there can be 25,000 days. So a condition that finds nothing behind leaves
that in its cursor, and as long as Dagster's log gets no event more, it reads no record again. An event that came just
now does not count yet: PostgreSQL tells of it before it tells of its tags, in which its data version is.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, timedelta

import dagster as dg

from rocket_assets.defs.runs import COMMAND, COMMANDS_DAYS, DATA_VERSION, UNFINISHED, days_of_tags, recorded_by
from rocket_assets.documents import digest
from rocket_assets.launches import days_between
from rocket_assets.months import last_day

_COMMANDS_GAP = timedelta(seconds=15)
"""`rocket-assets backfill` brings the pictures itself; for so long after a run of it, its next one is waited for."""

_COMMANDS_RUN = timedelta(hours=1)
"""A run of it that has begun longer ago and has not ended is taken for one that was killed."""

_SETTLED = timedelta(minutes=1)
"""So long after an event was first seen, all that belongs to it has been recorded."""

_MATERIALIZED = dg.DagsterEventType.ASSET_MATERIALIZATION

SOON = timedelta(minutes=30)
"""How long what follows may take: usually two minutes, more where a server is slow."""

_FEW = 500

_REST, _TRIED = timedelta(hours=6), timedelta(days=3)
"""How long after a run in vain another may begin, and how long after the launches came that goes on."""


class _Follows(dg.AutomationCondition[dg.AssetKey]):
    """An asset follows its upstream by itself."""

    upstream: dg.AssetKey
    recipe: str = ""

    def __init__(self, upstream: dg.AssetKey) -> None:
        self.upstream = upstream

    def get_label(self) -> str:
        """What the UI calls it."""
        return f"{self.upstream.to_user_string()} moved on"

    @property
    def name(self) -> str:
        """What the code calls it."""
        return f"{self.upstream.to_user_string()}_moved_on"

    @property
    def description(self) -> str:
        """What the UI says of it."""
        upstream = self.upstream.to_user_string()
        return f"Its {upstream} are not those that it was made for, and no run is making it or has tried to"

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        """The partitions of which that is true."""
        if context.candidate_subset.is_empty:
            return dg.AutomationResult(context, context.candidate_subset)
        now, newest = context.evaluation_time, f"{_newest_event(context)} {self.recipe}"
        # By this clock alone: an event has the time of the machine that it comes from.
        before, since, looked = [*(context.cursor or "").split("|"), "", ""][:3]
        since = since if before == newest else now.isoformat()
        # Once an hour the records are read all the same: who deletes a run deletes its records, without an event.
        this_hour = f"{now:%Y-%m-%d %H}"
        is_known = before == newest and looked == this_hour
        found = None if is_known else self.look(context)
        is_settled = is_known or now - datetime.fromisoformat(since) >= _SETTLED
        cursor = "|".join([newest, since, this_hour if is_settled else ""])
        return found or dg.AutomationResult(context, context.get_empty_subset(), cursor=cursor)

    @abstractmethod
    def look(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey] | None:
        """The partitions of which that is true, by what is recorded; None where nothing is behind."""


class MovedOn(_Follows):
    """What a partition is made from is not what it was made from, and no run is making it, nor bringing what it needs.

    Where a run has ended in vain since the upstream came, another begins after six hours, or when it comes again.
    """

    @abstractmethod
    def behind(
        self, instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str] | None = None
    ) -> set[str]:
        """The partitions, or those of these, that were not made for what their upstream is now, or not at all."""

    @abstractmethod
    def under_way(self, instance: dg.DagsterInstance, key: dg.AssetKey, now: datetime) -> set[str]:
        """The partitions that runs are making, or for which they are bringing what is needed."""

    @abstractmethod
    def came(self, instance: dg.DagsterInstance, partitions: set[str]) -> Mapping[str, int]:
        """The storage id of the newest record of what each partition is made from."""

    def look(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey] | None:
        """The partitions of which that is true, by what is recorded; None where nothing is behind."""
        instance, now = context.asset_graph_view.instance, context.evaluation_time
        behind = self.behind(instance, context.key)
        if not behind:
            return None
        partitions = {
            each for each in behind if context.partitions_def and context.partitions_def.has_partition_key(each)
        }
        wanted = partitions - self.under_way(instance, context.key, now)
        if wanted:
            # Once more, because a run that ended in between has recorded what it made by then.
            wanted &= self.behind(instance, context.key, sorted(wanted))
        if wanted:
            wanted -= self._resting(instance, context.key, wanted, now)
        true_subset = context.candidate_subset.compute_intersection_with_partition_keys(wanted)
        return dg.AutomationResult(context, true_subset)

    def _resting(self, instance: dg.DagsterInstance, key: dg.AssetKey, behind: set[str], now: datetime) -> set[str]:
        """Of these partitions, those for which a run has begun since their upstream came, and that are to rest."""
        log = instance.event_log_storage
        begun = log.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, behind)
        if not begun:
            return set()
        came = self.came(instance, set(begun))
        tried = {each for each in begun if begun[each] > came[each]}
        # Those that ended lately, and one that may have begun just now.
        lately = instance.get_run_records(dg.RunsFilter(updated_after=now - _REST)) if tried else ()
        ended = [record for record in lately if key in (record.dagster_run.asset_selection or ())]
        return self.rests(instance, tried, came, ended, now)

    @abstractmethod
    def rests(
        self,
        instance: dg.DagsterInstance,
        tried: set[str],
        came: Mapping[str, int],
        ended: Sequence[dg.RunRecord],
        now: datetime,
    ) -> set[str]:
        """Of the partitions that were tried, those that are to rest, by the runs of them that ended lately."""


class LaunchesMovedOn(MovedOn):
    """The launches of a day are not those that its pictures were brought for.

    A run waits for servers that do not answer, and fails after a quarter of an hour. It is begun again for three days
    after the launches came: then a server has no picture to give.
    """

    def behind(
        self, instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str] | None = None
    ) -> set[str]:
        """Such days."""
        return days_behind(instance, self.upstream, key, partitions)

    def under_way(self, instance: dg.DagsterInstance, key: dg.AssetKey, now: datetime) -> set[str]:
        """What runs of pictures, and commands, are still to bring."""
        return _days_of_commands(instance, now, {self.upstream, key}) | _partitions_of_runs(instance, key, now)

    def came(self, instance: dg.DagsterInstance, partitions: set[str]) -> Mapping[str, int]:
        """When the launches came."""
        return instance.event_log_storage.get_latest_storage_id_by_partition(self.upstream, _MATERIALIZED, partitions)

    def rests(
        self,
        instance: dg.DagsterInstance,
        tried: set[str],
        came: Mapping[str, int],
        ended: Sequence[dg.RunRecord],
        now: datetime,
    ) -> set[str]:
        """Those of these runs, and those whose launches came more than three days ago."""
        resting = {partition for record in ended for partition in _days(record.dagster_run)}
        since = _first_since(instance, self.upstream, now - _TRIED) if tried - resting else None
        return tried - {each for each in tried - resting if since is not None and came[each] >= since}


class DaysMovedOn(MovedOn):
    """The days of a month are not those that it was made for, or what it is made by is another.

    It asks nobody but the storage, and so is tried again for ever: every six hours.

    Args:
        launches: the asset of the days.
        images: the asset of their pictures.
        recipe: what decides how a month is made of its days.
    """

    launches: dg.AssetKey

    def __init__(self, launches: dg.AssetKey, images: dg.AssetKey, recipe: str) -> None:
        super().__init__(images)
        self.launches, self.recipe = launches, recipe
        self._since: datetime | None = None

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        """The months of which that is true."""
        self._since = self._since or context.evaluation_time
        return super().evaluate(context)

    def behind(
        self, instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str] | None = None
    ) -> set[str]:
        """Such months, of which at least one day has been brought."""
        return months_behind(instance, self.launches, self.upstream, key, self.recipe, partitions)

    def under_way(self, instance: dg.DagsterInstance, key: dg.AssetKey, now: datetime) -> set[str]:
        """The months that runs are still to make, and those of the days that are still to be brought.

        Pictures that are to follow launches of the last half hour are waited for, unless they were tried in vain.
        """
        days = _days_of_commands(instance, now) | _partitions_of_runs(instance, self.upstream, now)
        days |= self._to_follow(instance, now)
        return {month_of(day) for day in days} | _partitions_of_runs(instance, key, now)

    def _to_follow(self, instance: dg.DagsterInstance, now: datetime) -> set[str]:
        since = _first_since(instance, self.launches, now - SOON)
        if since is None:
            return set()
        log = instance.event_log_storage
        came = log.get_latest_storage_id_by_partition(self.launches, _MATERIALIZED, after_cursor=since - 1)
        behind = days_behind(instance, self.launches, self.upstream, sorted(came))
        planned = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        begun = log.get_latest_storage_id_by_partition(self.upstream, planned, behind) if behind else {}
        return {day for day in behind if begun.get(day, 0) < came[day]}

    def came(self, instance: dg.DagsterInstance, partitions: set[str]) -> Mapping[str, int]:
        """When the newest of a month's days came, or of their pictures."""
        newest = dict.fromkeys(partitions, 0)
        for asset in (self.launches, self.upstream):
            days = instance.event_log_storage.get_latest_storage_id_by_partition(asset, _MATERIALIZED)
            for day, storage_id in days.items():
                if (month := month_of(day)) in newest:
                    newest[month] = max(newest[month], storage_id)
        return newest

    def rests(
        self,
        instance: dg.DagsterInstance,
        tried: set[str],
        came: Mapping[str, int],
        ended: Sequence[dg.RunRecord],
        now: datetime,
    ) -> set[str]:
        """Those of the runs that failed, and of those that were begun since this was first asked and made another.

        The latter are of another version of the project than this process, which has not been loaded anew. What was
        made before that, by another recipe, is to be made at once.
        """
        resting = set[str]()
        for record in ended:
            is_made = record.dagster_run.status == dg.DagsterRunStatus.SUCCESS
            if not is_made or (self._since and record.create_timestamp >= self._since):
                resting |= _days(record.dagster_run)
        return tried & resting


class MonthsMovedOn(_Follows):
    """The months are not those that the index was made for, and no run is making it, or months.

    Where a run of it has failed since the months came, it rests for six hours.
    """

    def look(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey] | None:
        """Whether that is so, by what is recorded; None where the index is not behind."""
        instance, key, now = context.asset_graph_view.instance, context.key, context.evaluation_time
        if not index_is_behind(instance, self.upstream, key):
            return None
        is_under_way = any(_unfinished_runs_of(instance, each, now) for each in (key, self.upstream))
        # Once more, because a run that ended in between has recorded what it made by then.
        is_wanted = (
            not is_under_way and index_is_behind(instance, self.upstream, key) and not self._rests(instance, key, now)
        )
        return dg.AutomationResult(context, context.candidate_subset if is_wanted else context.get_empty_subset())

    def _rests(self, instance: dg.DagsterInstance, key: dg.AssetKey, now: datetime) -> bool:
        """Whether a run of it has begun since the newest month came, and ended lately."""
        newest = instance.fetch_materializations(self.upstream, limit=1).records[0]
        ended = instance.get_run_records(dg.RunsFilter(updated_after=now - _REST))
        tried = [record for record in ended if key in (record.dagster_run.asset_selection or ())]
        return any(record.create_timestamp.timestamp() > newest.timestamp for record in tried)


def month_of(day: str) -> str:
    """The partition of the month in which is the partition of a day."""
    return f"{day[:7]}-01"


def versions_of_months(
    instance: dg.DagsterInstance,
    launches: dg.AssetKey,
    images: dg.AssetKey,
    recipe: str,
    months: Sequence[str] | None = None,
) -> dict[str, str]:
    """What each month is to be made for now, as a digest: its days, with their pictures, and how it is made of them.

    A month of which no day has been brought is not among them, unless it is asked for.
    """
    days_of = {month: dict[str, list[str]]() for month in months or ()}
    firsts = [date.fromisoformat(month) for month in months or ()]
    days = [str(day) for first in firsts for day in days_between(first, last_day(first))] if months else None
    pictures = recorded_versions(instance, images, days)
    for day, version in recorded_versions(instance, launches, days).items():
        days_of.setdefault(month_of(day), {})[day] = [version, pictures.get(day, "")]
    return {month: digest({"recipe": recipe, "days": days})[:16] for month, days in days_of.items()}


def months_behind(
    instance: dg.DagsterInstance,
    launches: dg.AssetKey,
    images: dg.AssetKey,
    key: dg.AssetKey,
    recipe: str,
    months: Sequence[str] | None = None,
) -> set[str]:
    """The months, or those of these, that were not made for the days that they have now, or not at all."""
    wanted = versions_of_months(instance, launches, images, recipe, months)
    had = recorded_versions(instance, key, months)
    return {month for month, version in wanted.items() if not had.get(month, "").startswith(f"{version}-")}


def index_is_behind(instance: dg.DagsterInstance, upstream: dg.AssetKey, key: dg.AssetKey) -> bool:
    """Whether the index was not made for the months that there are now; without a month, there is none to make."""
    made = instance.get_latest_materialization_event(key)
    had = (made.asset_materialization.tags or {}) if made and made.asset_materialization else {}
    versions = recorded_versions(instance, upstream)
    return bool(versions) and not had.get(DATA_VERSION, "").startswith(f"{digest(versions)[:16]}-")


def version_of_all(instance: dg.DagsterInstance, upstream: dg.AssetKey) -> str:
    """What the index is to be made for now, as a digest: the versions of all months."""
    return digest(recorded_versions(instance, upstream))[:16]


def days_behind(
    instance: dg.DagsterInstance, launches: dg.AssetKey, images: dg.AssetKey, days: Sequence[str] | None = None
) -> set[str]:
    """The days whose pictures were not brought for the launches that they have now, or not at all."""
    wanted, had = recorded_versions(instance, launches, days), recorded_versions(instance, images, days)
    return {day for day, version in wanted.items() if not had.get(day, "").startswith(f"{version}-")}


def recorded_versions(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str] | None = None
) -> dict[str, str]:
    """The data version of each partition, or of each of these, that has been recorded."""
    # Of many, all are asked for more quickly than each.
    few = partitions if partitions is not None and len(partitions) < _FEW else None
    tags = instance.event_log_storage.get_latest_tags_by_partition(key, _MATERIALIZED, [DATA_VERSION], few)
    asked = tags.keys() if partitions is None else tags.keys() & set(partitions)
    return {partition: tags[partition][DATA_VERSION] for partition in asked}


def _partitions_of_runs(instance: dg.DagsterInstance, key: dg.AssetKey, now: datetime) -> set[str]:
    """What runs that have not ended, or not begun, are still to bring or to make.

    Dagster's own condition knows that, too, but by a status that it keeps of every day there is: after 25,000 days
    have come it takes more than a second to make that, for the few days that are asked about.
    """
    found = set[str]()
    for run in _unfinished_runs_of(instance, key, now):
        found |= _days(run) - recorded_by(instance, run.run_id, key)
    return found


def _unfinished_runs_of(instance: dg.DagsterInstance, key: dg.AssetKey, now: datetime) -> list[dg.DagsterRun]:
    """The runs that bring this asset; a job of ours that brings launches alone names no assets.

    One of a command that has not moved for an hour was killed: nobody else would say so for a day.
    """
    records = instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED))
    return [
        record.dagster_run
        for record in records
        if key in (record.dagster_run.asset_selection or ())
        and not (COMMAND in record.dagster_run.tags and record.update_timestamp < now - _COMMANDS_RUN)
    ]


def _newest_event(context: dg.AutomationContext[dg.AssetKey]) -> str:
    """Which event is the newest in Dagster's log: by its storage id and time.

    By both, because SQLite gives the highest ids out again when the run that had them is deleted.
    """
    newest, log = context.max_storage_id or 0, context.asset_graph_view.instance.event_log_storage
    event = log.get_logs_for_all_runs_by_log_id(after_cursor=newest - 1, limit=1).get(newest)
    return f"{newest} {event.timestamp if event else None}"


def _first_since(instance: dg.DagsterInstance, asset: dg.AssetKey, moment: datetime) -> int | None:
    """The storage id of the first record of an asset since a moment."""
    since = dg.AssetRecordsFilter(asset_key=asset, after_timestamp=moment.timestamp())
    first = instance.fetch_materializations(since, limit=1, ascending=True).records
    return first[0].storage_id if first else None


def _days_of_commands(
    instance: dg.DagsterInstance, now: datetime, bringing: Set[dg.AssetKey] | None = None
) -> set[str]:
    """What commands are bringing, or those of them that bring one of these assets."""
    found, lately = set[str](), dg.RunsFilter(tags={COMMAND: "backfill"}, updated_after=now - _COMMANDS_RUN)
    for record in instance.get_run_records(lately):
        run = record.dagster_run
        start, _, end = run.tags.get(COMMANDS_DAYS, "").partition("..")
        is_one = bringing is None or run.asset_selection is None or bool(bringing & run.asset_selection)
        if end and is_one and (not run.is_finished or record.update_timestamp > now - _COMMANDS_GAP):
            found |= _partitions(date.fromisoformat(start), date.fromisoformat(end))
    return found


def _days(run: dg.DagsterRun) -> set[str]:
    first_and_last = days_of_tags(run.tags)
    return _partitions(*first_and_last) if first_and_last else set()


def _partitions(first: date, last: date) -> set[str]:
    return {day.isoformat() for day in days_between(first, last)}
