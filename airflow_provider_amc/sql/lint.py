"""What a query says that its author may not mean: AMC takes it, and answers something else than is asked."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_amc.sql.additivity import not_additive
from airflow_provider_amc.sql.dialect import place_in
from airflow_provider_amc.sql.errors import Place
from airflow_provider_amc.sql.outputs import parsed, selects


@dataclass(frozen=True)
class Finding:
    """Something about a query.

    :param column: the output column, or ``column 2`` when it has no name.
    :param what: what it is, such as ``a ratio``.
    :param place: where the expression stands.
    """

    column: str
    what: str
    place: Place | None

    def __str__(self) -> str:
        where = f" (line {self.place.line}, column {self.place.column})" if self.place is not None else ""
        return f"{self.column} is {self.what}{where}"


def merged_rows(sql: str) -> list[Finding]:
    """Output columns that are wrong in rows that AMC has merged.

    Of interest when the workflow has a discriminator column (``filteredMetricsDiscriminatorColumn``): AMC then adds up the
    rows that lost values, also averages, ratios, distinct counts and whatever else cannot be added up.

    :param sql: the query.
    :returns: the columns in their order; none when the query cannot be read, which is for AMC to tell.
    """
    tree = parsed(sql)
    if tree is None:
        return []
    found: dict[int, Finding] = {}
    try:
        for select in selects(tree):
            for number, output in enumerate(select.outputs() or ()):
                problem = not_additive(output)
                if problem is not None:
                    name = output.name or f"column {number + 1}"
                    found.setdefault(number, Finding(name, problem[0], place_in(sql, problem[1])))
    except RecursionError:
        return []
    return [found[number] for number in sorted(found)]
