"""What a triggerer does on its event loop, seen from a process that has imported nothing of ours yet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook

#: Imports the trigger as a triggerer does, runs it, and tells which thread has imported what.
SCRIPT = """
import asyncio, importlib, json, sys, threading
import airflow.triggers.base
try:
    import airflow.sdk.execution_time.supervisor
except ImportError:
    pass

before = set(sys.modules)
module, name, arguments = json.loads(sys.argv[1])
trigger = getattr(importlib.import_module(module), name)
needed = sorted(set(sys.modules) - before)
loop_thread, on_loop, elsewhere = threading.get_ident(), [], []

class Witness:
    '''Is asked for every module that is not there yet, and knows none.'''

    def find_spec(self, name, path=None, target=None):
        (on_loop if threading.get_ident() == loop_thread else elsewhere).append(name)

sys.meta_path.insert(0, Witness())

async def main():
    async for event in trigger(**arguments).run():
        return event.payload

payload = asyncio.run(main())
print(json.dumps({"needed": needed, "on_loop": on_loop, "elsewhere": elsewhere, "payload": payload}))
"""


def run(trigger: str, **arguments: Any) -> dict[str, Any]:
    module, _, name = trigger.rpartition(".")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([module, name, arguments])],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def wait_for_an_execution() -> dict[str, Any]:
    workflow = {"sqlQuery": "SELECT campaign, SUM(impressions) AS seen FROM dsp_impressions GROUP BY campaign"}
    made = AmcHook().get_conn().executions.create(workflow=workflow, time_window_type="MOST_RECENT_DAY")
    return {"workflow_execution_id": made.workflow_execution_id}


def wait_for_an_instance() -> dict[str, Any]:
    return {"kind": "instance", "names": {"instance_id": "amcemulator"}}


@pytest.mark.parametrize(
    ("trigger", "arguments"),
    [
        ("airflow_provider_amc.triggers.execution.AmcWorkflowExecutionTrigger", wait_for_an_execution),
        ("airflow_provider_amc.triggers.resource.AmcResourceTrigger", wait_for_an_instance),
    ],
)
def test_nothing_is_imported_on_the_event_loop(amc_default: EmulatorServer, trigger: str, arguments: Any) -> None:
    found = run(trigger, **arguments(), poll_interval=0.01)
    assert found["payload"]["status"] == "finished"
    assert found["on_loop"] == []
    # It is done in threads.
    assert "airflow_provider_amc.hooks.amc" in found["elsewhere"]
    # Airflow imports the trigger itself on the loop, so that has to be light.
    assert not [name for name in found["needed"] if name.startswith(("airflow_provider_amc.client.", "requests"))
                and name != "airflow_provider_amc.client.times"]  # fmt: skip
