"""What reacts: one sensor looks for changes in the Launch Library, one lets pictures follow launches, two tell people.

What counts as a change, and which days it concerns, is decided by `rocket_assets.watch`; when pictures are to follow,
by `conditions`; what is worth a message, by `rocket_assets.notifications`. Here it is said how often, with which
cursor, and which runs Dagster is to start.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import datetime

import dagster as dg

from rocket_assets.archive import Archive
from rocket_assets.defs import assets
from rocket_assets.defs.jobs import bring_launches
from rocket_assets.defs.partitions import bounds
from rocket_assets.defs.runs import BECAUSE, COMMAND, days_of_tags, is_tried_again, reason_of, tags_for_days
from rocket_assets.errors import Unavailable
from rocket_assets.launch_library import LaunchLibrary
from rocket_assets.launches import Change
from rocket_assets.memory import Memory
from rocket_assets.notifications import Message, Notifier, Told, news, plain_message
from rocket_assets.settings import Settings
from rocket_assets.storage import Storage
from rocket_assets.watch import Look, Range, Request, Watch

Clock = Callable[[], datetime]

PICTURES_SECONDS = 20
"""How often it is looked whether pictures are to follow."""

TELL_SECONDS = 30
"""How often it is looked whether people are to be told of something."""

_LONGEST_TAG = 250
_LOOKS_AT_ONCE = 100

_BACKFILL = "dagster/backfill"
_NEWS = "news"

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


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
            launch_list, Archive(stored), first=first, last=last, now=now, busy=lambda: _busy(context.instance)
        )
        try:
            look = watch.look(Memory.read(context.cursor))
        except Unavailable as error:
            return dg.SkipReason(f"{error} {error.advice} The next look asks for what this one missed.")
        if look.requests:
            context.log.info(look.text)
        return dg.SensorResult(
            run_requests=[_run_request(request) for request in look.requests],
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


def tell_news() -> dg.SensorDefinition:
    """Sends a message for each new launch, slip and outcome that a look has found."""

    @dg.sensor(
        minimum_interval_seconds=TELL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the addresses in ROCKET_ASSETS_NOTIFY of new launches within the days ahead, of slips and "
        "of outcomes, one message each. Off: the switch beside its name.",
    )
    def tell_news(context: dg.SensorEvaluationContext, notifier: dg.ResourceParam[Notifier]) -> dg.SensorResult:
        told = Told.read(context.cursor)
        if told is None:
            newest = context.instance.fetch_observations(assets.library.key, limit=1).records
            told = Told(after=newest[0].storage_id if newest else 0)
        found = context.instance.fetch_observations(
            dg.AssetRecordsFilter(asset_key=assets.library.key, after_storage_id=told.after),
            limit=_LOOKS_AT_ONCE,
            ascending=True,
        )
        sent, failures = 0, list[str]()
        for record in found.records:
            for message in told.unsaid(_news_in(record)):
                sent, failures = sent + 1, [*failures, *notifier.send(message.title, message.body)]
            told = told.with_all(record.storage_id, _news_in(record))
        said = f"Messages sent: {sent}. {' '.join(failures)}" if sent else "There is no news to tell."
        return dg.SensorResult(skip_reason=said.strip(), cursor=told.dump())

    return tell_news


def tell_failures() -> dg.SensorDefinition:
    """Sends a message for each run, or each backfill, that has failed and is not tried again."""

    @dg.run_failure_sensor(
        minimum_interval_seconds=TELL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the addresses in ROCKET_ASSETS_NOTIFY of each run that failed for good; of a backfill once, "
        "when the first of its runs has failed. Off: the switch beside its name.",
    )
    def tell_failures(
        context: dg.RunFailureSensorContext, notifier: dg.ResourceParam[Notifier]
    ) -> dg.SkipReason | None:
        run = context.dagster_run
        # Who gave a command has been told by it.
        if COMMAND in run.tags or is_tried_again(run) or not _is_first_of_its_backfill(context.instance, run):
            return None
        reasons = [reason_of(event) for event in context.get_step_failure_events()]
        told = _failure_message(run, reasons or [context.failure_event.message or "It gave no reason."])
        return dg.SkipReason(" ".join(["A message was sent.", *notifier.send(told.title, told.body)]))

    return tell_failures


def _news_in(record: dg.EventLogRecord) -> list[Message]:
    event = record.asset_observation
    given = event.metadata.get(_NEWS) if event else None
    found = given.data if isinstance(given, dg.JsonMetadataValue) and isinstance(given.data, list) else []
    return [Message(str(one["title"]), str(one["body"])) for one in found if isinstance(one, dict)]


def _is_first_of_its_backfill(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether no other run of the same backfill has failed before; of a run of its own that is true."""
    if not (backfill := run.tags.get(_BACKFILL)):
        return True
    failed = instance.get_run_records(dg.RunsFilter(tags={_BACKFILL: backfill}, statuses=[dg.DagsterRunStatus.FAILURE]))
    for_good = [record for record in failed if not is_tried_again(record.dagster_run)]
    return not for_good or min(for_good, key=lambda record: record.end_time or 0).dagster_run.run_id == run.run_id


def _failure_message(run: dg.DagsterRun, reasons: list[str]) -> Message:
    days = days_of_tags(run.tags)
    named = ", ".join(sorted(key.to_user_string() for key in run.asset_selection or ())) or run.job_name
    what = f"{named} {days[0]} to {days[1]}" if days else named
    backfill = run.tags.get(_BACKFILL)
    again = f"Other runs of backfill {backfill} go on, and are not told of. " if backfill else ""
    return plain_message(
        f"Failed: {what}", "\n".join([*reasons, f"{again}Run {run.run_id} says more in the Dagster UI."])
    )


def _run_request(request: Request) -> dg.RunRequest:
    # JSON can hold half of a character, which no database takes as a tag.
    because = "; ".join(request.because).encode("utf-8", "replace").decode()
    shown = because if len(because) <= _LONGEST_TAG else f"{because[: _LONGEST_TAG - 1]}…"
    return dg.RunRequest(
        run_key=request.key,
        partition_key=request.start.isoformat() if request.start == request.end else None,
        tags={**tags_for_days(request.start, request.end), BECAUSE: shown},
    )


def _busy(instance: dg.DagsterInstance) -> list[Range]:
    """The days of launches that are being brought, or that are in the queue."""
    return list(_days_of_runs(instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))))


def _days_of_runs(runs: Iterable[dg.DagsterRun]) -> Iterator[Range]:
    for run in runs:
        selected = run.asset_selection is None or assets.launches.key in run.asset_selection
        if selected and (days := days_of_tags(run.tags)):
            yield days


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
