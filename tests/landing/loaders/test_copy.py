from __future__ import annotations

import pytest

from airflow_provider_amc.landing.loaders.copy import QuotedEndMarks


class TestQuotedEndMarks:
    @pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
    def test_only_lines_outside_of_quotes(self, size: int) -> None:
        import io

        stream = QuotedEndMarks(io.BytesIO(b'\\.\n"\n\\.\n"\r\nx\\.\n\\.\r\n"""\n\\.\n"\n\\.x\n\\.'))
        out = b""
        while chunk := stream.read(size):
            assert len(chunk) <= size
            out += chunk
        assert out == b'"\\."\n"\n\\.\n"\r\nx\\.\n"\\."\r\n"""\n\\.\n"\n\\.x\n"\\."'
