"""A replay of the command line: on one or several processes, stopped and taken up again, from a checkpoint or from
nothing, it comes to the same bytes.
"""

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from config.packed import pack
from streams import checkpoint, saved_state, share, state
from streams.cases import Cases
from streams.checkpoint import manifest_key
from streams.columns import Record
from streams.engine import Engine
from streams.errors import CheckpointError
from streams.local_copy import LocalCopy, Root
from streams.recording import Recording, head_line, record_line, tick_line
from streams.records import decode_alert
from streams.replay import Part, Result, replay, write_result
from streams.replay_run import ResumeError, Run, workers_for
from streams.share import Share
from streams.sources import Files
from streams.ticks import Tick
from streams.unfinished import read_cases
from tests.streamed import HOUR, START, eager, hostile
from tests.test_cases import decided
from tests.test_cli import ripcurrent as ripcurrent

CATALOGUE = eager()
PACKED = pack(CATALOGUE)
FILES = ("alerts.jsonl", "shadow_alerts.jsonl", "dead_letters.jsonl")


class Whole(NamedTuple):
    """What a replay in memory gives."""

    files: dict[str, bytes]
    result: Result

    def __repr__(self) -> str:
        return "a replay in memory"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three partitions of everything that may go wrong, with gaps between offsets; ticks, some of them void."""
    path = tmp_path_factory.mktemp("recording") / "r.jsonl"
    lines = [head_line("creator-events", 3)]
    streams = [hostile(seed, n=700, hours=14) for seed in (3, 4, 5)]
    for n in range(700):
        for partition, records in enumerate(streams):
            one = records[n]
            lines.append(record_line(partition, _of_its_own(one, partition)))
    for partition in range(3):
        lines.append(tick_line(Tick(partition, 1)))
        for at in (200, 450, 451, 699):
            lines.append(tick_line(Tick(partition, 1, at * 2 + 7, START + HOUR * at // 50 + 90_000)))
        lines += [tick_line(Tick(partition, 2)), tick_line(Tick(partition, 1, 699 * 2 + 7, START + 40 * HOUR))]
    path.write_bytes(b"".join(lines))
    return path


def _of_its_own(record: Record, partition: int) -> Record:
    """The same with creators that no other partition has, and gaps between offsets."""
    mine = b"p%dc" % partition
    value = record.value and record.value.replace(b'"creator_id": "c', b'"creator_id": "' + mine)
    return Record(record.offset * 2 + 7, record.key and record.key.replace(b"c", mine), value, 5)


def written(result: Result, out: Path) -> dict[str, bytes]:
    write_result(result, out)
    return {name: (out / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def whole(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    result = replay(Recording(recording).entries(), CATALOGUE)
    found = written(result, tmp_path_factory.mktemp("whole"))
    assert result.ticks == 12
    assert min(found[name].count(b"\n") for name in ("alerts.jsonl", "dead_letters.jsonl")) > 10
    return Whole(found, result)


def run_of(path: Path, out: Path, workers: int = 1, **more: Any) -> Run:
    common = Share(Files(path, path.name, 3, False), PACKED)._replace(**more)
    return Run(out, common, CATALOGUE, workers)


def never() -> bool:
    return False


def nothing(done: int, entries: int) -> None:
    pass


# ---- processes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_processes_gives_the_bytes_of_a_replay_in_memory(
    recording: Path, whole: Whole, workers: int, tmp_path: Path
) -> None:
    run = run_of(recording, tmp_path, workers)
    heard: list[tuple[int, int]] = []
    run.begin({}, resume=False)
    assert run.play(lambda *how: heard.append(how), never) == ""
    result, expected = run.result(), whole.result
    assert len(run.shares) == workers
    assert written(result, tmp_path / "out") == whole.files
    assert [dead.letter.record for dead in result.dead] == [dead.letter.record for dead in expected.dead]
    assert result.dead[3].letter.record == expected.dead[3].letter.record
    assert result._replace(dead=[]) == expected._replace(dead=[])
    assert heard[-1][0] == run.source.total
    run.end()
    assert not (tmp_path / ".unfinished").exists()


def test_no_more_processes_than_shards_and_only_where_it_pays() -> None:
    assert workers_for(8, 0, 3) == 3
    assert workers_for(None, 1_000, 8) == 1
    assert workers_for(None, 1 << 40, 10_000) == len(os.sched_getaffinity(0))


def test_what_a_process_raises_is_raised_as_it_is(recording: Path, tmp_path: Path) -> None:
    broken = tmp_path / "r.jsonl"
    broken.write_bytes(recording.read_bytes() + b"{}\n")
    run = run_of(broken, tmp_path, 2)
    run.begin({}, resume=False)
    with pytest.raises(Exception, match=r"line 2123: expected a partition and an offset") as caught:
        run.play(nothing, never)
    assert type(caught.value).__name__ == "RecordingError"


# ---- stopped, and taken up again ---------------------------------------------------------------------------


class Killed(Exception):  # noqa: N818
    pass


FATES = ((), ((1, True),), ((7, False), (1, False), (20, True)), ((33, True), (12, False), (30, True), (2, True)))


@pytest.mark.parametrize("fates", FATES, ids=["never", "at once", "three times", "four times"])
def test_wherever_it_is_stopped_or_killed_it_comes_to_the_same_bytes(
    recording: Path, whole: Whole, tmp_path_factory: pytest.TempPathFactory, fates: tuple[tuple[int, bool], ...]
) -> None:
    out = tmp_path_factory.mktemp("stopped")
    run_of(recording, out).begin({}, resume=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(share, "play", functools.partial(share.play, run_records=40))
        patch.setattr(share, "SAVE_SECONDS", 0.0)
        patch.setattr(share, "SAVE_SHARE", 1.0)
        for after, killed in fates:
            _play_until(run_of(recording, out), after, killed)
        run = run_of(recording, out)
        run.begin({}, resume=True)
        assert run.play(nothing, never) == ""
    result = run.result()
    assert written(result, out / "out") == whole.files
    assert result._replace(dead=[]) == whole.result._replace(dead=[])


def _play_until(run: Run, after: int, killed: bool) -> None:
    calls = 0

    def moved(done: int, entries: int) -> None:
        nonlocal calls
        calls += 1
        if killed and calls >= after:
            raise Killed

    try:
        run.begin({}, resume=True)
        run.play(moved, lambda: calls >= after)
    except Killed:
        pass
    finally:
        run.leave()


def test_what_was_stopped_before_its_first_state_begins_anew(
    recording: Path, whole: Whole, tmp_path: Path
) -> None:
    run_of(recording, tmp_path).begin({}, resume=False)
    _play_until(run_of(recording, tmp_path), 1, killed=True)
    run = run_of(recording, tmp_path)
    run.begin({}, resume=True)
    run.play(nothing, never)
    assert written(run.result(), tmp_path / "out") == whole.files


def test_another_replay_is_not_taken_for_the_one_that_was_begun(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="nothing was begun there; leave --resume out"):
        run_of(recording, tmp_path).begin({}, resume=True)
    assert run_of(recording, tmp_path).begin({"partitions": 3}, resume=False) is False
    with pytest.raises(ResumeError, match=r"has another partitions: 3, now 4; leave --resume out to begin anew"):
        run_of(recording, tmp_path).begin({"partitions": 4}, resume=True)
    with pytest.raises(ResumeError, match="has another workers: 1, now 2"):
        run_of(recording, tmp_path, 2).begin({"partitions": 3}, resume=True)
    assert run_of(recording, tmp_path).begin({"partitions": 3}, resume=False) is True, "what was there had to go"


def test_ctrl_c_leaves_no_result_and_resume_makes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streams.cli"]
    events = tmp_path / "e.jsonl"
    subprocess.run([*command, "simulate", "--days", "1", "--creators", "40", "--out", events], check=True)
    replay_it = [*command, "replay", events, "--workers", "2", "--partitions", "2", "--traces", "0",
                 "--no-tables", "--out"]  # fmt: skip
    process = subprocess.Popen([*replay_it, tmp_path / "out"], stderr=subprocess.PIPE, text=True)
    until(lambda: any((tmp_path / "out").glob(".unfinished/1/alerts.jsonl")))
    process.send_signal(signal.SIGINT)
    assert "the same command with --resume goes on" in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".unfinished"]
    assert all(list(tmp_path.glob(f"out/.unfinished/{n}/progress")) for n in (0, 1))
    subprocess.run([*replay_it, tmp_path / "out", "--resume"], check=True)
    subprocess.run([*replay_it, tmp_path / "other"], check=True)
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    assert not (tmp_path / "out" / ".unfinished").exists()


def until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that within 30 s")


# ---- from a checkpoint -------------------------------------------------------------------------------------


def checkpoints(recording: Path, folder: Path, stop: int, topic: str = "checkpoints") -> dict[int, int]:
    """A folder of checkpoints as a worker would have them, after so many entries; and the offset of each."""
    parts: dict[int, Part] = {}
    for n, (partition, entry) in enumerate(Recording(recording).entries()):
        if n >= stop:
            break
        if partition not in parts:
            parts[partition] = Part(Engine(CATALOGUE, "creator-events", partition))
        parts[partition].add(entry)
    for partition, part in parts.items():
        part.flush()
        written = checkpoint.encode(state.take(part.engine), 3, 9, -1, None)
        key, body = manifest_key(3, 9), checkpoint.encode_manifest(written.manifest)
        keys = [key, *written.blocks]
        LocalCopy(folder, topic, partition).keep(Root(0, key, body[:12], keys), {**written.blocks, key: body}, keys)
    return {partition: part.engine.next_offset for partition, part in parts.items()}


@pytest.mark.parametrize(("stop", "workers"), [(400, 1), (1_363, 2), (1_600, 1)])
def test_from_a_checkpoint_a_replay_says_what_the_whole_one_says_behind_it(
    recording: Path, whole: Whole, stop: int, workers: int, tmp_path: Path
) -> None:
    checkpoints(recording, tmp_path / "state", stop)
    run = run_of(recording, tmp_path, workers, catalogue=None, checkpoint=tmp_path / "state")
    run.begin({}, resume=False)
    run.play(nothing, never)
    result = run.result()
    behind = written(result, tmp_path / "out")["alerts.jsonl"].splitlines()
    before = replay(list(Recording(recording).entries())[:stop], CATALOGUE).alerts
    said = {(alert.alert_id, alert.revision) for alert in before}
    rest = [line for line, alert in zip(whole.files["alerts.jsonl"].splitlines(), whole.result.alerts, strict=True)
            if (alert.alert_id, alert.revision) not in said]  # fmt: skip
    assert behind == rest
    assert 0 < len(rest) < len(whole.result.alerts)
    assert result.gaps == {}


def test_alerts_from_a_checkpoint_are_explained_and_verified_from_it(
    recording: Path, tmp_path: Path, ripcurrent: Any
) -> None:
    checkpoints(recording, tmp_path / "state", 400)
    out, more = tmp_path / "out", ("--no-tables", "--traces", "0")
    done = ripcurrent("replay", recording, "--from-checkpoint", tmp_path / "state", "--out", out, *more)
    assert done.code == 0, done.err
    verified = ripcurrent("verify", out)
    assert (verified.code, verified.out.endswith("revisions: identical\n")) == (0, True), verified.out
    named = ripcurrent("verify", out / "alerts.jsonl", "--events", recording, "--from-checkpoint", tmp_path / "state")
    assert named.code == 0
    told = map(decode_alert, (out / "alerts.jsonl").read_bytes().splitlines())
    first = next(alert for alert in told if alert.revision == 1 and alert.evidence.events)
    explained = ripcurrent("explain", first.alert_id, "--in", out)
    assert explained.code == 0
    assert "not window by window" not in explained.err
    tampered = tmp_path / "tampered.jsonl"
    name = b'\\"event_id\\": \\"%s\\"' % first.evidence.events[-1].event_id.encode()
    tampered.write_bytes(recording.read_bytes().replace(name, b'\\"event_id\\": \\"x\\"'))
    assert tampered.read_bytes() != recording.read_bytes()
    other = ripcurrent("verify", out, "--id", first.alert_id, "--events", tampered)
    assert other.code == 1, other.out


def test_a_window_that_began_before_what_is_read_is_not_said_to_differ(
    recording: Path, tmp_path: Path, ripcurrent: Any
) -> None:
    ends = checkpoints(recording, tmp_path / "state", 1_000)
    behind = tmp_path / "behind.jsonl"
    behind.write_bytes(b"".join(line for line in recording.read_bytes().splitlines(True) if _stands_behind(line, ends)))
    out = tmp_path / "out"
    done = ripcurrent("replay", behind, "--from-checkpoint", tmp_path / "state", "--out", out, "--traces", "0")
    assert done.code == 0, done.err
    verified = ripcurrent("verify", out)
    assert (verified.code, verified.out.endswith("revisions: identical\n")) == (0, True), verified.out


def _stands_behind(line: bytes, ends: dict[int, int]) -> bool:
    if b'"offset":' not in line:
        return True
    partition, offset = (int(line.split(name)[1].split(b",")[0]) for name in (b'"partition":', b'"offset":'))
    return offset >= ends[partition]


def test_another_checkpoint_in_the_same_folder_is_not_gone_on_with(recording: Path, tmp_path: Path) -> None:
    checkpoints(recording, tmp_path / "state", 400)
    how = {"catalogue": None, "checkpoint": tmp_path / "state"}
    _play_until(_begun(run_of(recording, tmp_path / "out", **how)), 1, killed=False)
    checkpoints(recording, tmp_path / "state", 900)
    with pytest.raises(ResumeError, match="what was begun there has another checkpoint"):
        run_of(recording, tmp_path / "out", **how).begin({}, resume=True)


def _begun(run: Run) -> Run:
    run.begin({}, resume=False)
    run.leave()
    return run


def test_two_replays_do_not_write_into_one_folder(recording: Path, tmp_path: Path) -> None:
    first = run_of(recording, tmp_path)
    first.begin({}, resume=False)
    with pytest.raises(ResumeError, match="another replay is writing there"):
        run_of(recording, tmp_path).begin({}, resume=False)
    first.end()
    run_of(recording, tmp_path).begin({}, resume=False)


def test_plain_events_are_what_came_behind_the_checkpoint(tmp_path: Path) -> None:
    records = hostile(6, n=900, hours=18)
    plain = [record for record in records if record.value and b"\n" not in record.value]
    first, rest = (tmp_path / name for name in ("first.jsonl", "rest.jsonl"))
    first.write_bytes(b"".join((r.value or b"") + b"\n" for r in plain[:500]))
    rest.write_bytes(b"".join((r.value or b"") + b"\n" for r in plain[500:]))
    both = tmp_path / "both.jsonl"
    both.write_bytes(first.read_bytes() + rest.read_bytes())
    entries = list(Recording(both, 1).entries())
    count = sum(1 for _ in Recording(first, 1).entries())
    parts = {0: Part(Engine(CATALOGUE, "creator-events", 0))}
    for _, entry in entries[:count]:
        parts[0].add(entry)
    parts[0].flush()
    told = len(parts[0].alerts)
    encoded = checkpoint.encode(state.take(parts[0].engine), 0, 1, -1, None)
    key, body = manifest_key(0, 1), checkpoint.encode_manifest(encoded.manifest)
    keys = [key, *encoded.blocks]
    LocalCopy(tmp_path / "s", "c", 0).keep(Root(0, key, body[:12], keys), {**encoded.blocks, key: body}, keys)
    common = Share(Files(rest, "rest", 1, False), None, checkpoint=tmp_path / "s", close=True)
    run = Run(tmp_path / "out", common, CATALOGUE, 1)
    run.begin({}, resume=False)
    run.play(nothing, never)
    whole = replay(iter(entries), CATALOGUE, close=True)
    assert len(run.result().alerts) == len(whole.alerts) - told
    assert {a.alert_id for a in run.result().alerts} <= {a.alert_id for a in whole.alerts}


def test_offsets_that_are_missing_behind_the_checkpoint_are_told(recording: Path, tmp_path: Path) -> None:
    ends = checkpoints(recording, tmp_path / "state", 900)
    later = tmp_path / "later.jsonl"
    kept = [line for line in recording.read_bytes().splitlines(True)
            if b'"offset":' not in line or int(line.split(b'"offset":')[1].split(b",")[0]) >= max(ends.values()) + 100]
    later.write_bytes(b"".join(kept))
    run = run_of(later, tmp_path, 1, catalogue=None, checkpoint=tmp_path / "state")
    run.begin({}, resume=False)
    run.play(nothing, never)
    assert run.result().gaps.keys() == {0, 1, 2}
    assert min(run.result().gaps.values()) >= 100
    run.leave()
    hole = tmp_path / "hole.jsonl"  # it begins before the checkpoint ends
    first = [line for line in recording.read_bytes().splitlines(True) if b'"offset":2' in line or b'"offset":3' in line]
    hole.write_bytes(b"".join([kept[0], *first, *kept[1:]]))
    run = run_of(hole, tmp_path, 1, catalogue=None, checkpoint=tmp_path / "state")
    run.begin({}, resume=False)
    run.play(nothing, never)
    assert min(run.result().gaps[p] for p in range(3)) >= 100


def test_another_configuration_takes_over_where_the_checkpoint_ends(recording: Path, tmp_path: Path) -> None:
    from msgspec.structs import replace

    checkpoints(recording, tmp_path / "state", 1_000)
    fewer = replace(CATALOGUE, signals={n: s for n, s in CATALOGUE.signals.items() if n != "violation_burst"})
    fewer = replace(fewer, version="other")
    run = run_of(recording, tmp_path, catalogue=pack(fewer), checkpoint=tmp_path / "state")
    run.begin({}, resume=False)
    run.play(nothing, never)
    alerts = run.result().alerts
    mine = [alert for alert in alerts if alert.signal == "violation_burst"]
    assert all(alert.status == "resolved" and alert.status_reason == "config" for alert in mine)
    assert {alert.config_version for alert in alerts if alert not in mine} == {"other"}


def test_a_folder_of_checkpoints_that_can_t_be_used_is_refused(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint; expected a worker's RIPCURRENT_STATE_DIR"):
        saved_state.partitions_in(tmp_path)
    checkpoints(recording, tmp_path, 300)
    (block,) = list(tmp_path.glob("checkpoints/0/b~*small#0"))
    block.write_bytes(block.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match=r"can't be used: .*block small#0 is corrupt"):
        saved_state.read(saved_state.partitions_in(tmp_path)[0])
    (tmp_path / "checkpoints" / "1" / "index").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"is not whole; was it copied while a worker wrote it\?"):
        saved_state.read(saved_state.partitions_in(tmp_path)[1])
    checkpoints(recording, tmp_path, 300, "others")
    with pytest.raises(CheckpointError, match="holds checkpoints of checkpoints and others; expected those of one"):
        saved_state.partitions_in(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_reviewers_decided_is_found_whoever_reads_it_and_after_a_stop(workers: int, tmp_path: Path) -> None:
    events = tmp_path / "e.jsonl"
    lines = [r.value for r in hostile(9, n=400, hours=8) if r.value and b"\n" not in r.value]
    cases = [decided(f"alert-{n}", "confirmed", n) for n in range(40)]
    events.write_bytes(b"\n".join(line for pair in zip(lines, cases, strict=False) for line in pair))
    common = {"cases": True, "close": False}
    run_of(events, tmp_path, workers, **common).begin({}, resume=False)
    if workers == 1:
        _play_until(run_of(events, tmp_path, workers, **common), 1, killed=False)
    run = run_of(events, tmp_path, workers, **common)
    run.begin({}, resume=True)
    run.play(nothing, never)
    found = Cases()
    for folder in run.folders:
        read_cases(folder, found)
    assert sorted(found.by_alert) == sorted(f"alert-{n}" for n in range(40))
