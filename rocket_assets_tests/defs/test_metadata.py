"""What the UI shows of a day."""

from __future__ import annotations

import html
import json
import re
from base64 import b64decode
from datetime import date
from io import BytesIO
from typing import Any

import dagster as dg
from PIL import Image

from rocket_assets.sample_library.pictures import draw
from rocket_assets.storage import Storage, launches_key
from rocket_assets_tests.project import Project
from rocket_assets_tests.scripted_server import JSON, Answer, Request, ScriptedServer


def markdown(value: dg.MetadataValue[Any]) -> str:
    assert isinstance(value, dg.MarkdownMetadataValue)
    return value.md_str or ""


def test_a_day_shows_a_table_of_its_launches_and_small_previews_of_its_pictures(project: Project) -> None:
    project.bring("2024-12-05")
    launches = project.recorded("launches")["2024-12-05"].metadata
    table = launches["table"]
    assert isinstance(table, dg.TableMetadataValue)
    assert table.records[0].data["NET"] == "2024-12-05 03:05:00Z"
    assert set(table.records[0].data) == {"name", "NET", "precision", "status", "rocket", "pad"}
    assert launches["path"].value == project.storage.address(launches_key(date(2024, 12, 5)))
    images = project.recorded("launch_images")["2024-12-05"].metadata
    previews = [markdown(images[f"picture {number}"]) for number in range(1, 6)]
    assert "picture 6" not in images
    for preview in previews:
        # What is longer the UI does not show at once.
        assert len(preview) < 1000
        assert preview.count("data:image/webp;base64,") == 1
        encoded = re.search(r"base64,([^)]+)\)", preview)
        assert encoded
        with Image.open(BytesIO(b64decode(encoded[1]))) as image:
            assert max(image.size) == 128


def test_a_day_links_to_its_page_in_the_gallery_and_to_the_api_page_of_each_launch(project: Project) -> None:
    project.bring("2024-12-05")
    launches, images = (project.recorded(asset)["2024-12-05"].metadata for asset in ("launches", "launch_images"))
    page = project.storage.address("gallery/2024/2024-12.html")
    assert (launches["gallery"].value, images["gallery"].value) == (page, page)
    links = re.findall(r"\[([^]]+)\]\(([^)]+)\)", markdown(launches["at the Launch Library"]))
    rows = [launch.row for launch in project.archive.read_launches(date(2024, 12, 5))]
    assert links == [(row["name"], row["url"]) for row in rows]


def test_no_more_than_six_pictures_of_a_day_are_in_dagsters_records(
    storage: Storage, instance: dg.DagsterInstance
) -> None:
    """A day of the most launches there ever were has six."""
    picture = draw("falcon_9.png")

    def script(request: Request) -> Answer:
        if not request.path.startswith("/2.3.0/"):
            return Answer(200, picture, "image/png")
        image = {"image_url": f"http://{request.headers['host']}/a.png", "credit": "C" * 2000}
        rows = [
            {"id": f"id-{number}", "name": "N" * 2000, "net": "2024-12-05T00:00:00Z", "image": image}
            for number in range(40)
        ]
        return Answer(200, json.dumps({"count": 40, "next": None, "results": rows}).encode(), JSON)

    with ScriptedServer(script) as server:
        project = Project(server.url("/2.3.0/"), storage, instance)
        assert project.bring("2024-12-05").success
    metadata = project.recorded("launch_images")["2024-12-05"].metadata
    shown = [markdown(value) for name, value in metadata.items() if name.startswith("picture ")]
    assert len(shown) == 6
    assert all(len(text) < 1000 for text in shown)


def test_previews_are_a_small_part_of_dagsters_records_also_where_each_day_has_a_launch(project: Project) -> None:
    """Of all of spaceflight, one day in four has a launch: there they are a fourth of this part."""
    runs = project.bring_both("2024-12-01", "2024-12-14")
    log = sum(len(dg.serialize_value(entry)) for run in runs for entry in project.instance.all_logs(run.run_id))
    metadata = [record.metadata for record in project.recorded("launch_images").values()]
    shown = [markdown(value) for day in metadata for name, value in day.items() if name.startswith("picture ")]
    assert len(shown) == 13
    assert sum(map(len, shown)) < 0.25 * (log - sum(map(len, shown)))


def test_a_launch_named_like_markdown_is_shown_as_text(storage: Storage, instance: dg.DagsterInstance) -> None:
    name = "![x](javascript:alert(1)) <b>alert_1_</b> &lt; | *B*"
    picture = draw("falcon_9.png")

    def script(request: Request) -> Answer:
        if not request.path.startswith("/2.3.0/"):
            return Answer(200, picture, "image/png")
        image = {"image_url": f"http://{request.headers['host']}/a.png", "credit": "[me](javascript:alert(2))"}
        row = {"id": "id-1", "name": name, "net": "2024-12-05T00:00:00Z", "image": image}
        return Answer(200, json.dumps({"count": 1, "next": None, "results": [row]}).encode(), JSON)

    with ScriptedServer(script) as server:
        project = Project(server.url("/2.3.0/"), storage, instance)
        assert project.bring("2024-12-05").success
    text = markdown(project.recorded("launch_images")["2024-12-05"].metadata["picture 1"])
    text = text.replace("data:image/webp", "")
    assert "<" not in text
    assert "](javascript" not in text
    assert text.count("](") == 1
    assert html.unescape(text).endswith(f"\n\n{name}\n\n[me](javascript:alert(2))")
