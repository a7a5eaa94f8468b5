"""What of the gallery is written where, in which order, and that nothing is written twice."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from rocket_assets import storage as keys
from rocket_assets.archive import Archive
from rocket_assets.errors import StorageFailed
from rocket_assets.gallery import pages, thumbnails
from rocket_assets.gallery.site import Gallery, recipe_of
from rocket_assets.gallery.summaries import read_summaries
from rocket_assets.months import read_month
from rocket_assets.storage import Storage, gallery_page_key, gallery_summary_key, thumbnail_key
from rocket_assets_tests.gallery.archives import DECEMBER, GO, bring, image, make, page_of, pictures, row
from rocket_assets_tests.project import tree

NOVEMBER = date(2024, 11, 1)
PAGE, SUMMARY = gallery_page_key(DECEMBER), gallery_summary_key(DECEMBER)


def a_history(storage: Storage) -> Archive:
    """Two months: a picture that both show, others, a launch without one, one still to come."""
    with pictures() as server:
        return bring(
            storage,
            [
                row(1, "2024-11-30T12:00:00Z", image=image(server.url("/1"), "CC BY 4.0")),
                row(2, "2024-12-05T12:00:00Z", image=image(server.url("/1"), "NASA Images")),
                row(3, "2024-12-05T13:00:00Z", image=image(server.url("/2"), "CC BY-NC 4.0")),
                row(4, "2024-12-06T12:00:00Z"),
                row(5, "2024-12-07T12:00:00Z", image=image(server.url("/gone"), "CC0 1.0")),
                row(6, "2024-12-20T12:00:00Z", status=GO, image=image(server.url("/6"))),
            ],
        )


def sha256_of(storage: Storage, launch: int, day: date) -> str:
    """The digest of the picture of a launch."""
    entries = Archive(storage).read_manifest(day).entries
    return next(entry.sha256 for entry in entries if entry.launch_id == row(launch)["id"]) or ""


def test_a_month_is_its_thumbnails_its_page_and_its_summary(storage: Storage) -> None:
    a_history(storage)
    made = make(storage)
    assert (made.key, made.launches, made.pictures, made.thumbnails, made.not_shown) == (PAGE, 5, 3, 3, 0)
    assert (made.unreadable, made.changed) == ([], True)
    there = {stored.key for stored in storage.list(keys.GALLERY)}
    small = {key for key in there if key.startswith(keys.THUMBNAILS)}
    assert there - small == {PAGE, SUMMARY}
    assert len(small) == 3


def test_each_link_of_a_page_leads_to_something_that_is_there(storage: Storage, tmp_path: Path) -> None:
    a_history(storage)
    gallery = Gallery(storage)
    for month in (NOVEMBER, DECEMBER):
        make(storage, month)
    gallery.make_index()
    root = tmp_path / "storage"
    for path in (root / "gallery").rglob("*.html"):
        page = page_of(storage, path.relative_to(root).as_posix())
        hidden = [
            month.attributes["href"] for month in page.all("nav", "neighbours")[:1] for month in month.all("a")[1:]
        ]
        to = [one.attributes["href"] for tag in ("a", "link") for one in page.all(tag)]
        to += [one.attributes["src"] for one in page.all("img")]
        for address in to:
            file, _, anchor = address.partition("#")
            if file.startswith("..") and address not in hidden:
                target = (path.parent / file).resolve()
                assert target.is_file(), address
                assert not anchor or f'id="{anchor}"' in target.read_text()
        assert to


def test_the_same_archive_gives_the_same_bytes_wherever_and_whenever_it_is_made(tmp_path: Path) -> None:
    trees = []
    for name, months in (("one", (NOVEMBER, DECEMBER)), ("other", (DECEMBER, NOVEMBER, DECEMBER))):
        storage = Storage(str(tmp_path / name))
        a_history(storage)
        for month in months:
            make(storage, month)
            Gallery(storage).make_index()
        trees.append({path: body for path, body in tree(tmp_path / name).items() if path.startswith("gallery/")})
    assert trees[0] == trees[1]
    assert len(trees[0]) == 4 + 3 + 3


def test_what_is_there_already_is_not_written_again(storage: Storage, tmp_path: Path) -> None:
    a_history(storage)
    first, index = make(storage), Gallery(storage).make_index()
    files = {path: path.stat() for path in (tmp_path / "storage/gallery").rglob("*") if path.is_file()}
    again, index_again = make(storage), Gallery(storage).make_index()
    assert (again.changed, again.thumbnails, again.version) == (False, 0, first.version)
    assert (index_again.changed, index_again.version) == (False, index.version)
    assert files
    assert all(
        (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        for path, before in files.items()
    )


def test_only_the_month_of_which_a_day_changed_is_another(storage: Storage) -> None:
    a_history(storage)
    before = {month: make(storage, month).version for month in (NOVEMBER, DECEMBER)}
    bring(storage, [row(9, "2024-12-09T12:00:00Z")])
    after = {month: make(storage, month).version for month in (NOVEMBER, DECEMBER)}
    assert before[NOVEMBER] == after[NOVEMBER]
    assert before[DECEMBER] != after[DECEMBER]


def test_a_launch_that_left_its_month_is_on_its_page_no_more(storage: Storage) -> None:
    a_history(storage)
    make(storage)
    Archive(storage).write_launches(date(2024, 12, 6), "here", [])
    assert make(storage).launches == 4
    assert "Mission 4" not in page_of(storage, PAGE).text


def test_the_summary_is_written_last_and_the_index_tells_of_no_month_before_it(
    storage: Storage, tmp_path: Path
) -> None:
    a_history(storage)
    # Where it should be is a folder: so far it gets, and no further.
    summary = tmp_path / "storage" / SUMMARY
    summary.mkdir(parents=True)
    (summary / "in-the-way").touch()
    with pytest.raises(StorageFailed):
        make(storage)
    assert storage.find(PAGE)
    shutil.rmtree(summary)
    assert Gallery(storage).make_index().months == 0
    make(storage)
    assert Gallery(storage).make_index().months == 1


def test_a_page_is_written_after_its_thumbnails(storage: Storage, tmp_path: Path) -> None:
    a_history(storage)
    page = tmp_path / "storage" / PAGE
    page.mkdir(parents=True)
    (page / "in-the-way").touch()
    with pytest.raises(StorageFailed):
        make(storage)
    assert len(list(storage.list(keys.THUMBNAILS))) == 3
    assert storage.find(SUMMARY) is None


# The index


def test_the_index_is_made_from_the_summaries_alone(storage: Storage, tmp_path: Path) -> None:
    a_history(storage)
    for month in (NOVEMBER, DECEMBER):
        make(storage, month)
    made = Gallery(storage).make_index()
    assert (made.months, made.launches, made.planned, made.damaged) == (2, 6, 1, [])
    for folder in ("launches", "images", "pool"):
        shutil.rmtree(tmp_path / "storage" / folder)
    again = Gallery(storage).make_index()
    assert (again.version, again.changed) == (made.version, False)


@pytest.mark.parametrize("damage", [lambda body: body[:-9], lambda body: body.replace(b"success", b"failure")])
def test_a_damaged_summary_is_named_with_what_mends_it(storage: Storage, damage: Callable[[bytes], bytes]) -> None:
    a_history(storage)
    for month in (NOVEMBER, DECEMBER):
        make(storage, month)
    whole = Gallery(storage).make_index()
    storage.write(SUMMARY, damage(storage.read(SUMMARY)))
    made = Gallery(storage).make_index()
    again = "`rocket-assets backfill 2024-12-01 2024-12-31 --assets launch_gallery`."
    said = f"{SUMMARY} is damaged: make the page of December 2024 again, {again}"
    assert (made.months, made.damaged) == (1, [said])
    assert "December 2024" in page_of(storage, "gallery/index.html").one("div", "note").text
    make(storage)
    assert Gallery(storage).make_index().version == whole.version


def test_an_empty_storage_has_an_empty_index(storage: Storage) -> None:
    made = Gallery(storage).make_index()
    assert (made.months, made.launches, made.planned) == (0, 0, 0)
    assert "No month has been made yet." in page_of(storage, "gallery/index.html").text


# Licences


def test_a_picture_that_is_kept_back_has_neither_thumbnail_nor_link(storage: Storage) -> None:
    a_history(storage)
    made = make(storage, licences=["nasa*"])
    assert (made.pictures, made.not_shown, made.thumbnails) == (1, 2, 1)
    shown, hidden, *_, unknown = page_of(storage, PAGE).all("li", "launch")
    assert shown.all("img")
    for launch, licence in ((hidden, "CC BY-NC 4.0"), (unknown, "Unknown")):
        assert launch.one("div", "empty").words == f"The picture is kept back: its licence is {licence}."
        assert launch.all("img") == launch.all("a") == []
    for launch, day in ((3, date(2024, 12, 5)), (6, date(2024, 12, 20))):
        sha256 = sha256_of(storage, launch, day)
        assert storage.find(thumbnail_key(sha256)) is None
        assert thumbnail_key(sha256).encode() not in storage.read(PAGE)
    Gallery(storage).make_index()
    assert all(
        b"images/2024/2024-12-20" not in storage.read(key) for key in ("gallery/index.html", "gallery/next.html")
    )


def test_a_thumbnail_made_before_its_licence_was_shut_out_is_removed_once_no_month_shows_it(storage: Storage) -> None:
    a_history(storage)
    months = (NOVEMBER, DECEMBER)
    for month in months:
        make(storage, month)
    shared = thumbnail_key(sha256_of(storage, 2, date(2024, 12, 5)))
    alone = thumbnail_key(sha256_of(storage, 3, date(2024, 12, 5)))
    # In November the shared one is CC BY, in December it is NASA's.
    make(storage, DECEMBER, ["CC BY 4.0"])
    Gallery(storage, ["CC BY 4.0"]).make_index()
    assert storage.find(alone) is None
    assert storage.find(shared), "November shows it still"
    make(storage, NOVEMBER, ["CC0*"])
    Gallery(storage, ["CC0*"]).make_index()
    assert storage.find(shared) is None
    for month in months:
        make(storage, month)
    assert storage.find(shared)
    assert storage.find(alone)


def _shown(storage: Storage) -> set[str]:
    summaries, _ = read_summaries(storage)
    return {sha256 for summary in summaries for sha256 in summary.shown}


def test_where_licences_are_shut_out_no_thumbnail_stays_that_no_month_shows(storage: Storage) -> None:
    """A picture that no launch names any more may have been under such a licence."""
    a_history(storage)
    make(storage, NOVEMBER)
    storage.write(thumbnail_key("ab" * 32), b"of a picture that was replaced")
    Gallery(storage).make_index()
    assert storage.find(thumbnail_key("ab" * 32)), "where nothing is shut out it does no harm"
    make(storage, NOVEMBER, ["CC BY*"])
    Gallery(storage, ["CC BY*"]).make_index()
    there = {stored.key for stored in storage.list("gallery/thumbnails/")}
    assert there == {thumbnail_key(digest) for digest in _shown(storage)}


def test_no_thumbnail_is_removed_while_it_is_not_known_what_a_month_shows(storage: Storage) -> None:
    a_history(storage)
    make(storage, NOVEMBER)
    make(storage, DECEMBER, ["CC BY 4.0"])
    storage.write(gallery_summary_key(NOVEMBER), b"{}")
    Gallery(storage).make_index()
    assert storage.find(thumbnail_key(sha256_of(storage, 2, date(2024, 12, 5))))


# What is damaged


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_picture_that_cannot_be_read_is_named_and_stops_no_other(storage: Storage, how: str) -> None:
    a_history(storage)
    entries = Archive(storage).read_manifest(date(2024, 12, 5)).entries
    picture = entries[1].picture
    assert picture
    if how == "missing":
        storage.delete([picture.key])
    else:
        storage.write(picture.key, storage.read(picture.key)[:-50])
    made = make(storage)
    (sentence,) = made.unreadable
    assert picture.key in sentence
    assert made.pictures == 2
    launch = page_of(storage, PAGE).all("li", "launch")[1]
    assert launch.one("div", "empty").words == "The picture that is stored cannot be read."
    assert launch.all("a") == []


def test_pictures_that_are_to_follow_are_shown_when_they_have_come(storage: Storage) -> None:
    with pictures() as server:
        rows = [row(1, image=image(server.url("/1")))]
        bring(storage, rows, with_pictures=False)
        assert make(storage).pictures == 0
        assert "still to follow" in page_of(storage, PAGE).text
        bring(storage, rows)
    assert make(storage).pictures == 1


def test_a_month_of_which_no_day_is_stored_has_a_page(storage: Storage) -> None:
    made = make(storage)
    assert (made.launches, made.changed) == (0, True)
    assert "No day of this month has been brought." in page_of(storage, PAGE).text


# How it looks


def test_other_licences_are_another_look_however_they_are_spelled() -> None:
    looks = [recipe_of(licences) for licences in ([], ["CC BY*"], ["NASA"], ["NASA", "CC BY*"])]
    assert len(set(looks)) == 4
    assert recipe_of(["cc by*", "nasa"]) == looks[-1]


@pytest.mark.parametrize("name", ["gallery.css", "thumbnails.py", "templates/month.html.jinja"])
def test_another_template_or_style_sheet_is_another_look(tmp_path: Path, name: str) -> None:
    """In a copy of the package, in a process of its own."""
    source = Path(pages.__file__).parents[1]
    shutil.copytree(source, tmp_path / "rocket_assets")
    code = "from rocket_assets.gallery.site import recipe_of; print(recipe_of([]))"

    def look() -> str:
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    before = look()
    changed = tmp_path / "rocket_assets/gallery" / name
    changed.write_text(changed.read_text() + "\n# changed\n")
    assert look() != before


def test_a_bucket_takes_a_gallery() -> None:
    storage = Storage("memory://a-gallery")
    a_history(storage)
    assert make(storage).changed
    assert not make(storage).changed
    assert Gallery(storage).make_index().months == 1
    assert read_month(Archive(storage), DECEMBER).launches
    assert thumbnails.RECIPE.encode() in storage.read(thumbnail_key(sha256_of(storage, 2, date(2024, 12, 5))))
