"""How much of a result AMC has hidden, counted while the rows pass.

Facts: AMC API documentation, "Create workflow" (the three appended columns and ``privacyFilteringBehavior``). A row counts
as hidden when

- the discriminator column says so: its sensitive values are empty, and AMC has added it up with rows that became equal;
- without that column, when the reason column gives a reason;
- with the user count alone, when it is below the number that AMC asks for: 100 if a row of the result has more than two
  users, else 2. These are the numbers at which AMC stops counting.

Rows that AMC removes as a whole leave nothing to count, so without the discriminator it has to be ``REMOVE_VALUES``.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_amc.exceptions import AmcPrivacyLossError

if TYPE_CHECKING:
    from airflow_provider_amc.client.models import OutputColumn
    from airflow_provider_amc.landing.privacy_columns import PrivacyColumns

#: Numbers of users at which AMC stops counting (AMC API documentation, "Aggregation threshold").
_FEW, _MANY = 2, 100

#: Digits of a share; what lies behind is noise of adding up.
_DIGITS = 9

#: Metrics named in an error.
_MOST_NAMED = 5


@dataclass(frozen=True)
class PrivacyLoss:
    """What AMC has hidden of a result.

    :param rows: rows of the result.
    :param hidden_rows: those that lost values.
    :param metrics: by metric, which part of its sum stands in hidden rows, 0 to 1; ``None`` when the sum is zero.
    :param removed_values: by column, empty cells in hidden rows; columns without any are left out.
    :param reasons: by AMC's reason, without its number of users, rows.
    :param doubt: what the numbers may leave out, as a sentence.
    """

    rows: int
    hidden_rows: int
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    removed_values: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    doubt: str | None = None

    @property
    def row_share(self) -> float:
        """Part of the rows that lost values."""
        return _share(self.hidden_rows, self.rows) or 0.0

    def metric_share(self, name: str) -> float:
        """Part of a metric that is hidden: of its sum, or of its cells where more of those were removed."""
        return max(self.metrics[name] or 0.0, _share(self.removed_values.get(name, 0), self.rows) or 0.0)

    @property
    def hidden_share(self) -> float:
        """The largest part of a metric that is hidden; of the rows when there is no metric."""
        return max(map(self.metric_share, self.metrics), default=self.row_share)

    def as_dict(self) -> dict[str, Any]:
        """The numbers as JSON values, for XCom and the manifest."""
        return {
            "rows": self.rows,
            "hidden_rows": self.hidden_rows,
            "hidden_share": self.hidden_share,
            "metrics": dict(self.metrics),
            "removed_values": dict(self.removed_values),
            "reasons": dict(self.reasons),
        }

    def lines(self) -> list[str]:
        """The numbers as sentences for a log, one a metric."""
        told = [f"AMC has hidden values in {self.hidden_rows} of {self.rows} rows ({self.row_share:.2%})"]
        for name, share in self.metrics.items():
            removed = self.removed_values.get(name, 0)
            told.append(
                f"{name}: {'nothing to add up' if share is None else f'{share:.2%} of its sum stands in hidden rows'}"
                + (f", its value was removed in {removed} rows" if removed else "")
            )
        others = [f"{name} in {count}" for name, count in self.removed_values.items() if name not in self.metrics]
        if others:
            told.append(f"Dimensions removed, by rows: {', '.join(others)}")
        told += [f"{count} rows: {reason}" for reason, count in self.reasons.items()]
        return [*told, self.doubt] if self.doubt else told

    def check(self, most: float | None) -> None:
        """Compare with the share that may be hidden.

        :param most: 0 to 1; ``None`` allows all.
        :raises AmcPrivacyLossError: more is hidden.
        """
        if most is None or self.hidden_share <= most:
            return
        worst = sorted(self.metrics, key=lambda name: (-self.metric_share(name), name))
        named = [f"{self.metric_share(name):.2%} of {name}" for name in worst if self.metric_share(name) > most]
        what = ", ".join(named[:_MOST_NAMED]) + (" and others" if len(named) > _MOST_NAMED else "")
        raise AmcPrivacyLossError(
            f"AMC has hidden more of the result than max_hidden_share={most:g} allows: {what or 'values'}, in "
            f"{self.hidden_rows} of {self.rows} rows ({self.row_share:.2%}). Ask for fewer dimensions or a longer window, "
            "so that more users stand behind each row, or allow a larger share.",
            hidden_share=self.hidden_share,
            max_hidden_share=most,
        )


class PrivacyMeter:
    """Counts what AMC has hidden in the rows that it is shown. Memory does not grow with them; safe to use from threads.

    :param columns: the execution's ``outputColumns``.
    :param told_by: the columns that tell what is hidden; :attr:`PrivacyColumns.tell_loss` has to be true.
    :param most: the part that may be hidden, 0 to 1; ``None`` allows all.
    """

    def __init__(self, columns: Sequence[OutputColumn], told_by: PrivacyColumns, most: float | None = None) -> None:
        self._most = most
        self._doubt = told_by.doubt
        names = [column.name for column in columns]
        self._places = {
            key: names.index(name) if (name := getattr(told_by, key)) is not None else None
            for key in ("discriminator", "user_count", "reason")
        }
        own = [place for place, name in enumerate(names) if name not in told_by.names]
        self._names = _distinct(names)
        self._metrics = [place for place in own if (columns[place].column_type or "").upper() == "METRIC"]
        by_count = told_by.discriminator is None and told_by.reason is None
        # Which of the two numbers is the right one is known at the end.
        self._tallies = {least: _Tally(own, self._metrics) for least in ((_FEW, _MANY) if by_count else (0,))}
        self._most_users = 0
        self._rows = 0
        self._totals = dict.fromkeys(self._metrics, 0.0)
        self._reasons: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch.

        :param batch: rows with all columns of the result, in their order.
        """
        with self._lock:
            self._rows += batch.num_rows
            for place in self._metrics:
                self._totals[place] += _sum(batch.column(place))
            for least, tally in self._tallies.items():
                tally.add(batch.filter(self._hidden(batch, least)))
            self._add_reasons(batch)

    def finish(self) -> None:
        """Compare what was counted with what may be hidden.

        :raises AmcPrivacyLossError: more is hidden.
        """
        self.loss.check(self._most)

    def _hidden(self, batch: pa.RecordBatch, least: int) -> pa.BooleanArray:
        if (place := self._places["discriminator"]) is not None:
            return pc.fill_null(_truth(batch.column(place)), False)
        if (place := self._places["reason"]) is not None:
            return pc.is_valid(batch.column(place))
        users = pc.cast(batch.column(self._places["user_count"]), pa.int64())
        self._most_users = max(self._most_users, pc.max(users).as_py() or 0)
        return pc.fill_null(pc.less(users, least), False)

    def _add_reasons(self, batch: pa.RecordBatch) -> None:
        if (place := self._places["reason"]) is None:
            return
        # The number in front is that of one row; without it there are as many texts as uses of tables.
        texts = pc.replace_substring_regex(batch.column(place).drop_null(), r"^\s*\d+\s*", "")
        for found in pc.value_counts(texts):
            self._reasons[found["values"].as_py()] += found["counts"].as_py()

    @property
    def loss(self) -> PrivacyLoss:
        """What is hidden in the rows seen so far."""
        with self._lock:
            least = _MANY if self._most_users > _FEW else min(self._tallies)
            tally = self._tallies[least]
            return PrivacyLoss(
                rows=self._rows,
                hidden_rows=tally.rows,
                metrics={self._names[place]: _share(tally.sums[place], self._totals[place]) for place in self._metrics},
                removed_values={self._names[place]: count for place, count in tally.empty.items() if count},
                reasons=dict(sorted(self._reasons.items())),
                doubt=self._doubt,
            )


class _Tally:
    """Counts over hidden rows."""

    def __init__(self, own: Sequence[int], metrics: Sequence[int]) -> None:
        self.rows = 0
        self.empty = dict.fromkeys(own, 0)
        self.sums = dict.fromkeys(metrics, 0.0)

    def add(self, hidden: pa.RecordBatch) -> None:
        if not hidden.num_rows:
            return
        self.rows += hidden.num_rows
        for place in self.empty:
            self.empty[place] += hidden.column(place).null_count
        for place in self.sums:
            self.sums[place] += _sum(hidden.column(place))


def _sum(values: pa.Array) -> float:
    """Sum of the sizes of numbers: what is taken back stands for as much as what was given."""
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)):
        return 0.0
    numbers = pc.abs(pc.cast(values, pa.float64(), safe=False))
    return float(pc.sum(numbers.filter(pc.is_finite(numbers))).as_py() or 0.0)


def _truth(values: pa.Array) -> pa.BooleanArray:
    return values if pa.types.is_boolean(values.type) else pc.equal(pc.utf8_lower(pc.cast(values, pa.string())), "true")


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, _DIGITS) if whole else None


def _distinct(names: Sequence[str]) -> list[str]:
    """The names of columns; a result may repeat one."""
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct
