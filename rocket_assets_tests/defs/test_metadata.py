"""What the UI shows of a day."""

from __future__ import annotations

import json
from datetime import date

import dagster as dg

from rocket_assets.sample_library.pictures import draw
from rocket_assets.storage import Storage, launches_key
from rocket_assets_tests.project import Project
from rocket_assets_tests.scripted_server import JSON, Answer, Request, ScriptedServer


def test_a_day_shows_a_table_of_its_launches_and_small_previews_of_its_pictures(project: Project) -> None:
    project.bring("2024-12-05")
    launches = project.recorded("launches")["2024-12-05"].metadata
    table = launches["table"]
    assert isinstance(table, dg.TableMetadataValue)
    assert table.records[0].data["NET"] == "2024-12-05 03:05:00Z"
    assert set(table.records[0].data) == {"name", "NET", "precision", "status", "rocket", "picture"}
    assert launches["path"].value == project.storage.address(launches_key(date(2024, 12, 5)))
    images = project.recorded("launch_images")["2024-12-05"].metadata
    previews = images["previews"]
    assert isinstance(previews, dg.MarkdownMetadataValue)
    assert (previews.md_str or "").count("data:image/webp;base64,") == 5
    assert len(previews.md_str or "") < 5 * 8_000


def test_a_launch_named_like_markdown_is_shown_as_text(storage: Storage, instance: dg.DagsterInstance) -> None:
    name = "![x](javascript:alert(1)) <script>alert(1)</script> | *B*"
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
    previews = project.recorded("launch_images")["2024-12-05"].metadata["previews"]
    assert isinstance(previews, dg.MarkdownMetadataValue)
    text = (previews.md_str or "").replace("data:image/webp", "")
    assert "<" not in text
    assert "](javascript" not in text
    assert text.count("](") == 1
