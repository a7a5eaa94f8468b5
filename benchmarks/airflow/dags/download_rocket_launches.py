"""The classic first exercise of data pipelines, written anew as everybody writes it.

Three tasks a day: ask for the launches, fetch their pictures, say how many there are. It is here to be measured and
is no example. What is wrong with it is kept, for that is what makes it as short and as cheap as it is:

- It asks for what is upcoming, whatever the day, and for the first page only: ten launches, the same ones each day.
- Runs that go on at the same time share one file for the launches and one folder for the pictures.
- Pictures come one after the other, each of them every day anew, and are named by the last part of their address;
  nobody looks whether they are pictures.
- It waits without end, and tries nothing twice.

Not kept: the start date that moves with the clock, for here the days are asked for; the paths below /tmp, in whose
place is a folder that is given; and an `image` that is an address, for in API 2.3.0 it holds one.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import requests
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

URL = os.environ["CLASSIC_URL"]
FOLDER = Path(os.environ["CLASSIC_FOLDER"])
FIRST = datetime.fromisoformat(os.environ["CLASSIC_FIRST"]).replace(tzinfo=UTC)
LAST = datetime.fromisoformat(os.environ["CLASSIC_LAST"]).replace(tzinfo=UTC)
LAUNCHES = FOLDER / "launches.json"
PICTURES = FOLDER / "images"


def fetch_pictures() -> None:
    """Fetch the picture of every launch in the file."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with LAUNCHES.open() as file:
        launches = json.load(file)["results"]
    for launch in launches:
        if not launch["image"]:
            continue
        address = launch["image"]["image_url"]
        try:
            answer = requests.get(address)
        except requests.exceptions.MissingSchema:
            print(f"{address} is no address.")
        except requests.exceptions.ConnectionError:
            print(f"Nobody answers at {address}.")
        else:
            picture = PICTURES / address.split("/")[-1]
            picture.write_bytes(answer.content)
            print(f"{address} is now {picture}.")


with DAG(
    dag_id="download_rocket_launches",
    description="Fetches the pictures of rocket launches.",
    schedule="@daily",
    start_date=FIRST,
    end_date=LAST,  # So that the scheduler adds no day to those that are asked for.
):
    download_launches = BashOperator(
        task_id="download_launches",
        bash_command=f"curl -o {LAUNCHES} -L '{URL}launches/upcoming/'",
    )
    get_pictures = PythonOperator(task_id="get_pictures", python_callable=fetch_pictures)
    notify = BashOperator(task_id="notify", bash_command=f'echo "There are now $(ls {PICTURES} | wc -l) images."')

    download_launches >> get_pictures >> notify
