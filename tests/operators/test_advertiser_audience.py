from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import (
    AmcNotFoundError,
    AmcTermsNotAcceptedError,
    AmcUnknownOutcomeError,
    AmcValidationError,
)
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.operators.advertiser_audience import (
    AmcCreateAdvertiserAudienceOperator,
    AmcCreateAudienceConnectionOperator,
    AmcDeleteAudienceConnectionOperator,
    AmcUpdateAdvertiserAudienceOperator,
)
from tests.tasks import task_context

DSP = "580000000000000001"


def connections() -> dict[str, tuple[str | None, str | None]]:
    found = AmcHook().get_conn().advertiser_audiences.connections.list()
    return {one.connection_id: (one.amc_instance_id, one.dsp_advertiser_id) for one in found}


def connect(**arguments: Any) -> str:
    return AmcCreateAudienceConnectionOperator(task_id="connect", **arguments).execute(task_context())


def create(**changes: Any) -> AmcCreateAdvertiserAudienceOperator:
    fields = {"task_id": "c", "audience_name": "Loyal customers", "external_audience_id": "loyal", "advertiser_id": DSP}
    return AmcCreateAdvertiserAudienceOperator(**{**fields, **changes})


class Store:
    """The task state store of Airflow 3.3, as far as it is used."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.kept.get(key)

    def set(self, key: str, value: Any) -> None:
        self.kept[key] = value


class TestConnections:
    def test_made_once(self, amc_default: EmulatorServer) -> None:
        both, instance = connect(dsp_advertiser_id=DSP), connect()
        dsp = connect(dsp_advertiser_id=DSP, connect_instance=False)
        assert connections() == {both: ("amcemulator", DSP), instance: ("amcemulator", None), dsp: (None, DSP)}
        assert [connect(dsp_advertiser_id=DSP), connect()] == [both, instance]
        assert len(amc_default.requests_of("AmcpLinkAddConnectionV2")) == 3

    def test_a_retry_after_a_lost_answer_finds_it(self, amc_default: EmulatorServer) -> None:
        amc_default.add_fault(operation="AmcpLinkAddConnectionV2", kind="lost_answer", times=1)
        with pytest.raises(AmcUnknownOutcomeError):
            connect()
        assert list(connections()) == [connect()]

    def test_nothing_to_connect(self, amc_default: EmulatorServer) -> None:
        with pytest.raises(AmcValidationError, match="give dsp_advertiser_id, or connect the instance"):
            connect(connect_instance=False)
        assert amc_default.requests_of("AmcpLinkAddConnectionV2") == []

    def test_one_is_deleted(self, amc_default: EmulatorServer) -> None:
        first, second = connect(dsp_advertiser_id=DSP), connect()
        for _ in range(2):
            AmcDeleteAudienceConnectionOperator(task_id="d", connection_id=first).execute({})
        assert list(connections()) == [second]
        with pytest.raises(AmcNotFoundError):
            AmcDeleteAudienceConnectionOperator(task_id="d", connection_id=first, if_missing="fail").execute({})

    @pytest.mark.parametrize("connection_id", ["", "  ", "None", None])
    def test_never_all_of_them(self, amc_default: EmulatorServer, connection_id: Any) -> None:
        """AMC takes a deletion that names none for one of all; a template that finds nothing gives an empty text."""
        connect()
        with pytest.raises(AmcValidationError, match=r"names no audience connection .* would delete all"):
            AmcDeleteAudienceConnectionOperator(task_id="d", connection_id=connection_id).execute({})
        assert amc_default.requests_of("AmcpLinkRemoveConnectionV2") == []
        assert len(connections()) == 1


class TestAudiences:
    def test_created_and_changed(self, amc_default: EmulatorServer) -> None:
        known = create(advertiser_id=None, connection_id=connect(), ttl=timedelta(days=30)).execute(task_context())
        audiences = AmcHook().get_conn().advertiser_audiences
        assert (audiences.get(known).name, audiences.get(known).ttl) == ("Loyal customers", 2_592_000)
        update = AmcUpdateAdvertiserAudienceOperator(task_id="u", audience_id=known, description="Of 2026", ttl=60)
        assert update.execute({}) == known
        assert (audiences.get(known).description, audiences.get(known).ttl) == ("Of 2026", 60)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"audience_name": "short"}, "10 to 128"),
            ({"ttl": timedelta(days=400)}, "ttl must be"),
            ({"connection_id": "c"}, "connection_id or advertiser_id"),
            ({"advertiser_id": None, "connection_id": ""}, "names no audience connection"),
        ],
    )
    def test_what_is_wrong_is_not_sent(
        self, amc_default: EmulatorServer, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(AmcValidationError, match=message):
            create(**changes).execute(task_context())
        with pytest.raises(AmcValidationError, match="nothing to change"):
            AmcUpdateAdvertiserAudienceOperator(task_id="u", audience_id=1).execute({})
        assert amc_default.requests_of("CreateAudienceMetadataV2") == []

    def test_a_retry_finds_it_in_the_task_state_store(self, amc_default: EmulatorServer) -> None:
        store = Store()
        known = create().execute(task_context(task_state_store=store))
        assert create().execute(task_context(ti={"try_number": 2}, task_state_store=store)) == known
        assert len(amc_default.requests_of("CreateAudienceMetadataV2")) == 1

    def test_a_store_that_is_away_is_no_reason_to_fail(self, amc_default: EmulatorServer, mocker: Any) -> None:
        store = mocker.Mock(**{"get.side_effect": OSError("away"), "set.side_effect": OSError("away")})
        assert create().execute(task_context(task_state_store=store))

    def test_terms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with EmulatorServer(port=0, terms="open") as server:
            monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(server.connection))
            with pytest.raises(AmcTermsNotAcceptedError, match=r"have not been accepted.*accept_terms") as caught:
                create().execute(task_context())
            assert "emulator-terms" not in str(caught.value)
            assert server.requests_of("CreateAudienceMetadataV2") == []
            terms = AmcHook().get_conn().advertiser_audiences.connections
            terms.accept_terms(terms.terms().agreement_token)
            assert create().execute(task_context())

    def test_unknown_audience(self, amc_default: EmulatorServer) -> None:
        with pytest.raises(AmcNotFoundError):
            AmcUpdateAdvertiserAudienceOperator(task_id="u", audience_id="123", ttl=60).execute({})
