"""A backup holds every file that cannot be made again, no secret, and a restored KITT goes on."""

import io
import tarfile
from pathlib import Path

import pytest
from fakes import FakeClock, a_job, claimed, shell

from bridge.backup import LAST_BACKUP, backup, copy_database, restore
from bridge.errors import ConfigError, StoreDamaged
from bridge.memory import Memory, follow
from bridge.models import Artifact
from bridge.personas import personas
from bridge.queue import Queue
from bridge.settings import Settings
from bridge.store import Store

FILES = {
    "KITT.md": "You are KITT.",
    "mcp.toml": "",
    "skills/trip/SKILL.md": "Plan",
    "personas/editor.md": "---\nname: Vera\n---\nShort.",
    "kinds/mine.py": "KIND = None",
    "memory/files/7/12-menu.pdf": "A menu",
}
LEFT_OUT = {
    ".env": "TELEGRAM_BOT_TOKEN=1:secret",
    "skills/.env": "KEY=secret",
    "skills/trip/__pycache__/x.pyc": "bytes",
    "memory/files/7/.part-13": "half",
    "memory/jobs/1/draft.txt": "not attached",
    "memory/log/kitt-bridge.log": "lines",
    "notes.txt": "of nobody",
}


@pytest.fixture
async def settings(tmp_path: Path, clock: FakeClock) -> Settings:
    """A profile of someone who has used KITT: one job that is done, with a file, and one to do."""
    found = Settings(profile=tmp_path / "profile")
    for name, text in {**FILES, **LEFT_OUT, "memory/jobs/1/out/report.pdf": "A report"}.items():
        path = found.profile / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (found.profile / "skills" / "link.md").symlink_to(found.profile / ".env")
    store = await Store.open(found.database, found.run_dir)
    queue = Queue(store=store, clock=clock)
    job = await claimed(queue)
    (found.jobs_dir / "1" / "out" / "leak.pdf").symlink_to(found.profile / ".env")
    made = [Artifact(path=f"out/{name}", name=name) for name in ("report.pdf", "leak.pdf")]
    await queue.finish(job, "La", files=made)
    await queue.add(a_job(prompt="Go on"))
    await store.close()
    Memory(found.notes_dir, "7").remember("bike", "It is red")
    return found


def inside(path: Path) -> set[str]:
    with tarfile.open(path) as archive:
        return set(archive.getnames())


async def test_everything_that_cannot_be_made_again_is_in_it_and_no_secret(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await backup(settings, tmp_path / "kitt.tar", force=False, clock=clock)

    made = {"memory/kitt.db", "memory/notes/7.md", "memory/jobs/1/out/report.pdf"}
    assert inside(copy.path) == {*FILES, *made}
    assert copy.files == len(FILES) + 2
    assert b"secret" not in copy.path.read_bytes()
    assert copy.path.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kitt.tar", "profile"]
    (row,) = shell(settings.database, f"SELECT value FROM meta WHERE name = '{LAST_BACKUP}'")
    assert row["value"].startswith("20")


async def test_a_kitt_restored_elsewhere_goes_on_with_its_files(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await backup(settings, tmp_path / "kitt.tar", force=False, clock=clock)
    other = Settings(profile=tmp_path / "other")
    other.profile.mkdir()

    restored, kept = restore(other, copy.path, clock=clock)

    assert (restored.jobs, restored.files, restored.set_aside, kept) == (2, copy.files, 0, None)
    for name, text in FILES.items():
        assert (other.profile / name).read_text() == text
    assert [persona.name for persona in personas(other.profile)] == ["Vera"]
    assert [note.text for note in Memory(other.notes_dir, "7").notes()] == ["It is red"]
    assert (other.memory / "notes").stat().st_mode & 0o077 == 0
    store = await Store.open(other.database, other.run_dir, check=True)
    queue = Queue(store=store, clock=clock)
    job = await queue.claim("w1:1:a")
    files = await store.read(lambda tx: tx.all("files_of", job_id=1))
    assert job is not None
    assert job.prompt == "Go on"
    assert (other.jobs_dir / "1" / files[0]["path"]).read_text() == "A report"
    await store.close()


async def test_what_differs_is_kept_beside_what_is_put_back(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await backup(settings, tmp_path / "kitt.tar", force=False, clock=clock)
    persona = settings.profile / "KITT.md"
    persona.write_text("You are somebody else.")
    (settings.notes_dir / "8.md").write_text("- since then")

    restored, kept = restore(settings, copy.path, clock=clock)

    assert (restored.files, restored.set_aside) == (1, 1)
    assert persona.read_text() == "You are KITT."
    (aside,) = settings.profile.glob("KITT.md.before-restore-*")
    assert aside.read_text() == "You are somebody else."
    assert (settings.notes_dir / "8.md").exists()
    assert kept is not None
    again = await backup(settings, tmp_path / "again.tar", force=False, clock=clock)
    assert not any("before-restore" in name for name in inside(again.path))


async def test_a_backup_of_the_database_alone_is_put_back_too(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await copy_database(settings, tmp_path / "kitt.db", force=False, clock=clock)

    restored, _ = restore(settings, copy.path, clock=clock)

    assert (restored.jobs, restored.files) == (2, 0)


def archive_with(path: Path, source: Path, name: str, kind: bytes = tarfile.REGTYPE) -> Path:
    """A backup to which somebody added one more file."""
    with tarfile.open(source) as before, tarfile.open(path, "w") as after:
        for member in before:
            after.addfile(member, before.extractfile(member))
        added = tarfile.TarInfo(name)
        added.type, added.linkname, added.size = kind, "/etc/passwd", 4 * (kind == tarfile.REGTYPE)
        after.addfile(added, io.BytesIO(b"evil"))
    return path


async def test_an_archive_that_is_none_of_ours_changes_nothing(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    good = (await backup(settings, tmp_path / "good.tar", force=False, clock=clock)).path
    (settings.profile / "KITT.md").write_text("Now")
    torn, short, empty, foreign = (
        tmp_path / name for name in ("torn", "short", "empty", "foreign")
    )
    torn.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    with tarfile.open(good) as archive:
        short.write_bytes(good.read_bytes()[: archive.getmembers()[-1].offset_data + 1])
    tarfile.open(empty, "w").close()
    with tarfile.open(foreign, "w") as archive:
        archive.add(settings.profile / "KITT.md", arcname="KITT.md")
    names = ("skills/../../out.md", "/etc/kitt", ".env", "memory/run/x", "skills/.hidden", "a.md")
    bad = [archive_with(tmp_path / f"bad-{at}", good, name) for at, name in enumerate(names)]
    bad.append(archive_with(tmp_path / "link", good, "skills/link.md", tarfile.SYMTYPE))

    for path in (torn, short, empty, foreign, *bad):
        with pytest.raises((ConfigError, StoreDamaged), match=path.name):
            restore(settings, path, clock=clock)

    assert (settings.profile / "KITT.md").read_text() == "Now"
    assert not list(settings.memory.glob("*.before-restore-*"))
    assert not (tmp_path / "out.md").exists()


async def test_a_file_with_two_names_is_put_back_under_both(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    follow(settings.notes_dir, "7", "-1007")  # as notes have when a group gets another number
    copy = await backup(settings, tmp_path / "kitt.tar", force=False, clock=clock)
    other = Settings(profile=tmp_path / "other")
    other.profile.mkdir()

    restore(other, copy.path, clock=clock)

    for chat_id in ("7", "-1007"):
        assert [note.text for note in Memory(other.notes_dir, chat_id).notes()] == ["It is red"]


async def test_nothing_is_put_back_through_a_link_that_a_job_has_made(
    settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    copy = await backup(settings, tmp_path / "kitt.tar", force=False, clock=clock)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out = settings.jobs_dir / "1" / "out"
    out.rename(out.with_name("kept"))
    out.symlink_to(elsewhere)

    with pytest.raises(ConfigError, match=r"out.* is a link"):
        restore(settings, copy.path, clock=clock)

    assert not list(elsewhere.iterdir())
