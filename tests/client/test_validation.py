from __future__ import annotations

import pytest

from airflow_provider_amc.client.validation import check_header, check_id, check_range, check_segment, path
from airflow_provider_amc.exceptions import AmcConfigurationError, AmcValidationError


@pytest.mark.parametrize("value", ["a", "Daily.reach-v1_2", "transient_0e1", "1"])
def test_ids_of_letters_digits_and_three_signs_pass(value: str) -> None:
    assert check_id(value, "workflow_id") == value


@pytest.mark.parametrize("value", ["", "a b", "a/b", "é", "a\n", ".", "..", None, 5, "a?b", "a%2f"])
def test_other_ids_are_refused_by_name(value: object) -> None:
    with pytest.raises(AmcValidationError, match="workflow_id"):
        check_id(value, "workflow_id")


@pytest.mark.parametrize("value", ["", " ", "a b", "a\x00", "..", None])
def test_ids_that_amc_chose_have_no_white_space(value: object) -> None:
    with pytest.raises(AmcValidationError, match="instance_id"):
        check_segment(value, "instance_id")


def test_segments_are_encoded() -> None:
    assert path("amc", "a/b", "c d", "e%") == "/amc/a%2Fb/c%20d/e%25"


def test_header_values_are_ids() -> None:
    assert check_header(" ENTITY1 ", "account_id") == "ENTITY1"
    assert check_header("", "account_id") is check_header(None, "account_id") is None
    with pytest.raises(AmcConfigurationError, match="account_id"):
        check_header("ENTITY1\r\nX-Other: 1", "account_id")


@pytest.mark.parametrize("value", [900, "900", 86400])
def test_numbers_in_range_pass(value: object) -> None:
    assert check_range(value, "timeout", 900, 86400) == int(str(value))


@pytest.mark.parametrize("value", [899, 86401, "x", 900.5, True, None, "-900", "٩٠٠"])
def test_numbers_out_of_range_are_refused(value: object) -> None:
    with pytest.raises(AmcValidationError, match="timeout must be a whole number from 900 to 86400"):
        check_range(value, "timeout", 900, 86400)
