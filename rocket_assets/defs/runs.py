"""How a run over one day or many is recorded, and how it fails.

Dagster records a range run at its end, with one data version for all its days. Here each day is recorded as soon as it
is done, with its own metadata and data version, so that a kill or one bad day takes no other day with it. What a day
holds is none of this module's business.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import takewhile
from typing import Any

import dagster as dg

from rocket_assets.errors import RateLimited, RocketAssetsError, Unavailable

RETRYABLE = "retryable"
"""The metadata of a failed step that says whether trying again may help."""

RETRY_AFTER = "retry_after"
"""The metadata of a throttled step that says after how many seconds trying again makes sense."""

WAITS_OUTSIDE = "rocket_assets/waits_outside"
"""The tag of a run whose launcher waits for the throttle itself."""

DATA_VERSION = "dagster/data_version"
"""The tag of a record that says what the day holds; it changes when that does."""

FOUND = "rocket_assets/found_in_storage"
"""The tag of a record that no run has made: the storage held the day already, and when it was brought is not known."""

BECAUSE = "rocket_assets/because"
"""The tag of a run that nobody started by hand: why it was started."""

COMMAND = "rocket_assets/command"
"""The tag of a run that a command of ours has started in its own process."""

COMMANDS_DAYS = "rocket_assets/command_days"
"""The tag that says which days the command is bringing just now, as first..last."""

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
"""How a run stands that has come to its end."""

UNFINISHED = [status for status in dg.DagsterRunStatus if status not in FINISHED]
"""How a run may stand that has not come to its end."""

# A wait is at most an hour, and a step asks for a few pages only: more waits than this mean that something is wrong.
_MAX_WAITS = 100

_MOST_SHOWN = 20

_PATIENCE = (30, 120, 600)
"""Seconds to wait for a server that does not answer, before the first, second and third new try."""


_BEGUN_AGAIN, _PARENT = "dagster/retry_number", "dagster/parent_run_id"

_DAY, _START, _END = "dagster/partition", "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def tags_for_range(start: date, end: date) -> dict[str, str]:
    """The tags that make a run one of these days, or of these months by their first days, as Dagster knows them."""
    return {_START: start.isoformat(), _END: end.isoformat()}


def tags_for_days(start: date, end: date) -> dict[str, str]:
    """The tags that make a requested run one of these days; of one day alone Dagster knows by itself."""
    return {} if start == end else tags_for_range(start, end)


def days_of_tags(tags: Mapping[str, str]) -> tuple[date, date] | None:
    """The first and the last day of a run with these tags, or None if it is not one of days."""
    start, end = tags.get(_START, tags.get(_DAY)), tags.get(_END, tags.get(_DAY))
    try:
        return (date.fromisoformat(start), date.fromisoformat(end)) if start and end else None
    except ValueError:
        return None


def days_to_bring(context: dg.AssetExecutionContext) -> list[date]:
    """The days of this run that it has not recorded yet: all of them, unless it goes on after a wait or a death.

    A day alone is always brought: what follows it in the same run waits for its output.
    """
    if len(context.partition_keys) == 1:
        return days_of_run(context)
    begun = [context.run.run_id] if context.retry_number else []
    done = [recorded_by(context.instance, run, context.asset_key) for run in (*begun, *_died_before(context))]
    return [date.fromisoformat(key) for key in context.partition_keys if key not in set[str]().union(*done)]


def _died_before(context: dg.AssetExecutionContext) -> Iterator[str]:
    """The runs of which Dagster has begun this one again by itself, because their processes had died.

    Who begins a run again by hand wants all of it.
    """
    run: dg.DagsterRun | None = context.run
    while run and _BEGUN_AGAIN in run.tags and (before := run.tags.get(_PARENT)):
        yield before
        run = context.instance.get_run_by_id(before)


def recorded_by(instance: dg.DagsterInstance, run_id: str, asset: dg.AssetKey) -> set[str]:
    """The days of an asset that a run has recorded so far."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    events = (entry.dagster_event for entry in entries)
    return {event.partition for event in events if event and event.partition and event.asset_key == asset}


def days_of_run(context: dg.AssetExecutionContext) -> list[date]:
    """All the days of this run."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def recorded(
    context: dg.AssetExecutionContext, day: date, *, data_version: str, metadata: Mapping[str, dg.MetadataValue]
) -> dg.AssetMaterialization | dg.MaterializeResult[Any]:
    """The event that makes a day stand.

    A run of one day gives the asset's output, so that what follows in the same run goes on. In a range the output would
    be recorded once more for all days, with one data version; there, the day's event is all there is.
    """
    if len(context.partition_keys) == 1:
        return dg.MaterializeResult(metadata=dict(metadata), data_version=dg.DataVersion(data_version))
    return dg.AssetMaterialization(
        context.asset_key,
        partition=day.isoformat(),
        metadata=dict(metadata),
        tags={DATA_VERSION: data_version},
    )


def refuse_to_skip(context: dg.AssetExecutionContext, downstream: str) -> None:
    """Fail a range run that was also to bring `downstream`, which Dagster would pass over in silence.

    A backfill gives each asset a run of its own; only a run put together by hand can have both.
    """
    brings = context.job_def.asset_layer.executable_asset_keys
    if len(context.partition_keys) > 1 and dg.AssetKey(downstream) in brings:
        raise dg.Failure(
            f"A run over several days brings one asset at a time, and this one was also to bring {downstream}. "
            "Launch it as a backfill, or one asset after the other.",
            metadata={RETRYABLE: False},
            allow_retries=False,
        )


def wait_for(context: dg.AssetExecutionContext, error: Unavailable) -> dg.RetryRequested | dg.Failure:
    """What to raise where trying again later helps: Dagster frees the pool's slot, waits, and runs the step again.

    The API's throttle is waited for as long as it says, as often as it takes. A server that does not answer is asked
    again a few times, further and further apart, and then the step fails.

    A run of the command line ends instead, and says how long to wait: in its process Dagster's wait would be silent,
    and deaf to Ctrl-C.
    """
    is_throttled = isinstance(error, RateLimited)
    if WAITS_OUTSIDE in context.run.tags:
        metadata = {RETRYABLE: True} | ({RETRY_AFTER: error.retry_after} if is_throttled else {})
        return dg.Failure(f"{error} {error.advice}", metadata=metadata, allow_retries=False)
    waited = _waits_in_vain(context)
    if not is_throttled and waited >= len(_PATIENCE):
        return failure(error)
    return dg.RetryRequested(_MAX_WAITS, error.retry_after if is_throttled else _PATIENCE[waited])


def _waits_in_vain(context: dg.AssetExecutionContext) -> int:
    """How often this run has waited for a server to answer again, since it last met the throttle."""
    waits = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY)
    causes = [_cause(entry) for entry in reversed(waits)]
    return len(list(takewhile(lambda cause: cause != RateLimited.__name__, causes)))


def _cause(entry: dg.EventLogEntry) -> str | None:
    data = entry.dagster_event and entry.dagster_event.step_retry_data
    return data.error.cause.cls_name if data and data.error and data.error.cause else None


def failure(error: RocketAssetsError) -> dg.Failure:
    """What to raise for an error of the plain half: the end of the step, with the reason in words."""
    return dg.Failure(f"{error} {error.advice}", metadata={RETRYABLE: error.retryable}, allow_retries=False)


def failed_days(
    context: dg.AssetExecutionContext, errors: Mapping[date, RocketAssetsError], unit: str = "days"
) -> BaseException:
    """What to raise when some days of a run failed, or months by their first days: the others stand."""
    shown = sorted(errors.items())[:_MOST_SHOWN]
    reasons = "\n".join(f"- {day}: {error} {error.advice}" for day, error in shown)
    more = f"\n- and {len(errors) - len(shown)} more {unit}" if len(errors) > len(shown) else ""
    total = len(context.partition_keys)
    others = "; the others stand" if len(errors) < total else ""
    said = f"{len(errors)} of {total} {unit} failed{others}.\n{reasons}{more}"
    unavailable = [error for error in errors.values() if isinstance(error, Unavailable)]
    if unavailable and WAITS_OUTSIDE not in context.run.tags:
        again = wait_for(context, unavailable[0])
        if isinstance(again, dg.RetryRequested):
            context.log.warning(f"{said}\nThey are tried again in {again.seconds_to_wait} seconds.")
            return again
    return dg.Failure(said, metadata={RETRYABLE: bool(unavailable)}, allow_retries=False)


def is_tried_again(run: dg.DagsterRun) -> bool:
    """Whether Dagster starts a failed run again by itself."""
    return run.tags.get("dagster/will_retry") == "true"


def reason_of(event: dg.DagsterEvent) -> str:
    """Why a step failed, in the words of whatever raised the error."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    return data.error.message.strip() if data.error else "It gave no reason."
