"""What reacts: to changes in the Launch Library, to launches without pictures, to days without their months.

One sensor looks for changes, two let follow what is behind, one says whether today is fresh, and two tell people.

What counts as a change, and which days it concerns, is decided by `rocket_assets.watch`; when pictures are to follow,
by `conditions`; what is worth a message, by `rocket_assets.notifications`. Here it is said how often, with which
cursor, and which runs Dagster is to start.
"""

import json
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from rocket_assets.archive import Archive
from rocket_assets.defs import assets
from rocket_assets.defs.freshness import Today
from rocket_assets.defs.instance import LOOKS
from rocket_assets.defs.jobs import bring_launches
from rocket_assets.defs.partitions import bounds
from rocket_assets.defs.runs import BECAUSE, COMMAND, UNFINISHED, days_of_tags, is_tried_again, reason_of, tags_for_days
from rocket_assets.errors import Unavailable
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import Change
from rocket_assets.memory import Memory
from rocket_assets.notifications import Found, Message, Notifier, Told, failure_message, news, tell
from rocket_assets.settings import Settings
from rocket_assets.storage import Storage
from rocket_assets.watch import Busy, Look, Range, Request, Watch

Clock = Callable[[], datetime]

PICTURES_SECONDS = 20
"""How often it is looked whether pictures are to follow."""

VIEWS_SECONDS = 30
"""How often it is looked whether a month is to be made again: every day that there is is looked at."""

FRESHNESS_SECONDS = 900
"""How often it is looked whether today is fresh."""

TELL_SECONDS = 30
"""How often it is looked whether people are to be told of something."""

_TELLING_SECONDS = 25.0
"""After this no more messages are begun in a tick, which Dagster ends after a minute."""

_TOLD_FOR = timedelta(days=3)
"""Days that have failed are not told of again when they fail again within this time."""

_FAILURES_AT_ONCE = 300

_LONGEST_TAG = 250
_LOOKS_AT_ONCE = 100

_BACKFILL = "dagster/backfill"
_NEWS = "news"

_FAILED = [dg.DagsterRunStatus.FAILURE]
_RECENTLY = timedelta(days=2)

_LONGEST_RUN = timedelta(hours=2)


def launch_library_changes(settings: Settings, clock: Clock) -> dg.SensorDefinition:
    """Looks for launches that are new, have slipped, have flown or have another picture, and has their days brought."""

    @dg.sensor(
        job=bring_launches,
        minimum_interval_seconds=settings.poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks the Launch Library, with one request, what was updated since the last look. The day on which "
        "each changed launch stands, and the one on which it stood before, are brought again. Off: the switch beside "
        "its name; the schedule goes on.",
    )
    def launch_library_changes(
        context: dg.SensorEvaluationContext,
        launch_list: dg.ResourceParam[LaunchLibrary],
        stored: dg.ResourceParam[Storage],
    ) -> dg.SensorResult | dg.SkipReason:
        if not launch_list.tells_updates:
            return dg.SkipReason(
                f"The API's version {launch_list.version} does not say when a launch was updated. "
                "The schedule alone follows what changes; for more, set ROCKET_ASSETS_API_URL to version 2.3.0."
            )
        now = clock()
        first, last = bounds(settings, now.date())
        watch = Watch(
            launch_list, Archive(stored), first=first, last=last, now=now, busy=lambda: _busy(context.instance, now)
        )
        try:
            look = watch.look(Memory.read(context.cursor))
        except Unavailable as error:
            return dg.SkipReason(f"{error} {error.advice} The next look asks for what this one missed.")
        if look.requests:
            context.log.info(look.text)
        return dg.SensorResult(
            run_requests=[_run_request(request, now.date() - _RECENTLY) for request in look.requests],
            skip_reason=None if look.requests else look.text,
            cursor=look.memory.dump(),
            asset_events=[_observed(look, news(look.changes, now.date(), last))] if look.changes else [],
        )

    return launch_library_changes


def launch_images_follow() -> dg.AutomationConditionSensorDefinition:
    """Lets the pictures of a day follow its launches, whoever brought them."""
    with warnings.catch_warnings():
        # In beta, and the only way to have a condition of one's own.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.AutomationConditionSensorDefinition(
            "launch_images_follow",
            target=[assets.launch_images],
            use_user_code_server=True,
            minimum_interval_seconds=PICTURES_SECONDS,
            default_status=dg.DefaultSensorStatus.RUNNING,
            run_tags={BECAUSE: "Its launches were brought."},
            description="Brings the pictures of each day whose launches are not those that its pictures were brought "
            "for, whoever brought them, unless a run or a backfill does so already. Off: the switch beside its name.",
        )


def views_follow() -> dg.AutomationConditionSensorDefinition:
    """Lets gallery and table follow the days, whoever brought them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.AutomationConditionSensorDefinition(
            "views_follow",
            target=[assets.launch_gallery, assets.launch_table, assets.gallery_index],
            use_user_code_server=True,
            minimum_interval_seconds=VIEWS_SECONDS,
            default_status=dg.DefaultSensorStatus.RUNNING,
            run_tags={BECAUSE: "What it is made of was brought."},
            description="Makes the page and the table of each month again when the pictures of one of its days are not "
            "those that they were made for, and then the index. Off: the switch beside its name.",
        )


def today_is_looked_at(settings: Settings, clock: Clock) -> dg.SensorDefinition:
    """Says under *Checks* whether today is fresh, also when no run says so."""

    @dg.sensor(
        minimum_interval_seconds=FRESHNESS_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks whether launches, pictures and gallery are those of today, and says so under *Checks* of "
        "the asset archive: when that changes, and each hour. Starts no run and asks nobody. Off: the switch beside "
        "its name.",
    )
    def today_is_looked_at(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = clock()
        found = Today(context.instance, settings, now, assets.GALLERY_RECIPE).all()
        said = json.dumps([f"{now:%Y-%m-%d %H}", *(each.because for each in found)])
        return dg.SensorResult(
            skip_reason=" ".join(f"{each.check}: {each.because}" for each in found),
            cursor=said,
            asset_events=[] if said == context.cursor else [each.evaluation for each in found],
        )

    return today_is_looked_at


def tell_news(clock: Clock, seconds: float = _TELLING_SECONDS) -> dg.SensorDefinition:
    """Sends a message for each new launch, slip and outcome that a look has found."""

    @dg.sensor(
        minimum_interval_seconds=TELL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the addresses in ROCKET_ASSETS_NOTIFY of new launches within the days ahead, of slips and "
        "of outcomes, one message each. What no address takes is tried again for a day. Off: the switch beside its "
        "name.",
    )
    def tell_news(context: dg.SensorEvaluationContext, notifier: dg.ResourceParam[Notifier]) -> dg.SensorResult:
        told = Told.read(context.cursor)
        if told is None:
            newest = context.instance.fetch_observations(assets.library.key, limit=1).records
            told = Told(after=newest[0].storage_id if newest else 0)
        looks = context.instance.fetch_observations(
            dg.AssetRecordsFilter(asset_key=assets.library.key, after_storage_id=told.after),
            limit=_LOOKS_AT_ONCE,
            ascending=True,
        )
        telling = tell([_found(look) for look in looks.records], told, notifier, clock(), seconds=seconds)
        if telling.failed:
            raise dg.Failure(telling.text)
        return dg.SensorResult(skip_reason=telling.text, cursor=telling.told.dump())

    return tell_news


def tell_failures() -> dg.SensorDefinition:
    """Sends a message for each run, or each backfill, that has failed and is not tried again."""

    @dg.run_failure_sensor(
        minimum_interval_seconds=TELL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the addresses in ROCKET_ASSETS_NOTIFY of each run that failed for good; of a backfill once, "
        "when the first of its runs has failed, and of days that fail again and again once in a while. Off: the switch "
        "beside its name.",
    )
    def tell_failures(
        context: dg.RunFailureSensorContext, notifier: dg.ResourceParam[Notifier]
    ) -> dg.SkipReason | None:
        run = context.dagster_run
        # Who gave a command has been told by it.
        if COMMAND in run.tags or is_tried_again(run) or not _is_first_failure(context.instance, run):
            return None
        failed = context.get_step_failure_events()
        steps = ", ".join(sorted({event.step_key for event in failed if event.step_key}))
        reasons = [reason_of(event) for event in failed] or [context.failure_event.message or "It gave no reason."]
        told = _failure_message(steps or _named(run), run, reasons)
        failures = notifier.send(told.title, told.body, is_failure=True)
        sent = "A message was sent." if notifier.reached_by(failures) else f'"{told.title}" could not be told:'
        return dg.SkipReason(" ".join([sent, *failures]))

    return tell_failures


def _found(look: dg.EventLogRecord) -> Found:
    event = look.asset_observation
    given = event.metadata.get(_NEWS) if event else None
    found = given.data if isinstance(given, dg.JsonMetadataValue) and isinstance(given.data, list) else []
    messages = [
        Message(str(one["title"]), str(one["body"]), str(one.get("key", ""))) for one in found if isinstance(one, dict)
    ]
    return Found(look.storage_id, datetime.fromtimestamp(look.timestamp, UTC), messages)


def _is_first_failure(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether nobody can have been told of these days lately, nor of the backfill that the run is of."""
    this = instance.get_run_record_by_id(run.run_id)
    if this is None:
        return True
    since = _ended(this) - _TOLD_FOR
    recent = _failed(instance, dg.RunsFilter(statuses=_FAILED, updated_after=since), limit=_FAILURES_AT_ONCE)

    def is_again(record: dg.RunRecord) -> bool:
        return any(_fails_again(record, other) for other in recent)

    if is_again(this):
        return False
    backfill = run.tags.get(_BACKFILL)
    others = _failed(instance, dg.RunsFilter(statuses=_FAILED, tags={_BACKFILL: backfill})) if backfill else []
    return not any(_order(other) < _order(this) and not is_again(other) for other in others)


def _failed(instance: dg.DagsterInstance, runs: dg.RunsFilter, limit: int | None = None) -> list[dg.RunRecord]:
    """Of these runs, those that people are told of by a message."""
    records = [(record, record.dagster_run) for record in instance.get_run_records(runs, limit=limit)]
    return [record for record, run in records if COMMAND not in run.tags and not is_tried_again(run)]


def _fails_again(this: dg.RunRecord, other: dg.RunRecord) -> bool:
    """Whether the other run has failed not long before this one, and was to bring the same days of the same assets."""
    days = days_of_tags(this.dagster_run.tags)
    return (
        days is not None
        and days == days_of_tags(other.dagster_run.tags)
        and _named(this.dagster_run) == _named(other.dagster_run)
        and _order(other) < _order(this)
        and _ended(this) - _ended(other) <= _TOLD_FOR
    )


def _order(record: dg.RunRecord) -> tuple[datetime, int]:
    return _ended(record), record.storage_id


def _ended(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp


def _named(run: dg.DagsterRun) -> str:
    return ", ".join(sorted(key.to_user_string() for key in run.asset_selection or ())) or run.job_name


def _failure_message(what: str, run: dg.DagsterRun, reasons: list[str]) -> Message:
    days = days_of_tags(run.tags)
    when = dict.fromkeys(str(day) for day in days or ())
    backfill = run.tags.get(_BACKFILL)
    others = f"Other runs of backfill {backfill} are not told of one by one. " if backfill else ""
    return failure_message(
        f"{what} {' to '.join(when)}".strip(), reasons, f"{others}Run {run.run_id} says more in the Dagster UI."
    )


def _run_request(request: Request, first: date) -> dg.RunRequest:
    because = "; ".join(request.because)
    shown = because if len(because) <= _LONGEST_TAG else f"{because[: _LONGEST_TAG - 1]}…"
    return dg.RunRequest(
        run_key=request.key,
        partition_key=request.start.isoformat() if request.start == request.end else None,
        tags={
            **tags_for_days(request.start, request.end),
            BECAUSE: shown,
            # The days around today go before those of a backfill, and these before corrections of what is long past.
            "dagster/priority": "1" if request.end >= first else "-1",
        },
    )


def _busy(instance: dg.DagsterInstance, now: datetime) -> Busy:
    """The days of launches that are being brought, or that are in the queue.

    A run that was begun hours ago was killed without a trace, and one that was not even put into the queue as well.
    """
    long_ago, ranges, own = (now - _LONGEST_RUN).timestamp(), list[Range](), 0
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED)):
        run = record.dagster_run
        waits = run.status in (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING)
        is_alive = waits or (record.start_time or record.create_timestamp.timestamp()) > long_ago
        brings_launches = run.asset_selection is None or assets.launches.key in run.asset_selection
        if is_alive and brings_launches and (days := days_of_tags(run.tags)):
            ranges.append(days)
            own += run.tags.get("dagster/sensor_name") == LOOKS
    return Busy(ranges, own)


def _observed(look: Look, messages: Iterable[Message]) -> dg.AssetObservation:
    """What a look found, as an event of the Launch Library: the UI shows it there, and `tell_news` reads it."""
    return dg.AssetObservation(
        assets.library.key,
        description=look.text,
        metadata={
            "launches": dg.MetadataValue.int(len(look.changes)),
            "changes": dg.MetadataValue.table([_record(change) for change in look.changes]),
            _NEWS: dg.MetadataValue.json([asdict(message) for message in messages]),
        },
    )


def _record(change: Change) -> dg.TableRecord:
    before, launch = change.before, change.launch
    return dg.TableRecord(
        {
            "launch": launch.name,
            "from": str(before.net.date()) if before else "",
            "to": str(launch.day),
            "dated to the day": launch.is_dated,
            "status": launch.status or "",
            "outcome": change.is_outcome,
            "id": launch.id,
        }
    )
