"""The output columns of a query, and the tables it reads, from its text alone.

Nothing here checks a query; that is the compiler's work. What the text alone does not tell, such as the columns behind
``SELECT * FROM table``, is ``None``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import SqlglotError

from airflow_provider_amc.sql.dialect import AmcCalls


@dataclass(frozen=True)
class Select:
    """A SELECT, alone or as a part of a UNION.

    :param node: its tree.
    :param sources: by alias, lower case, what FROM and JOIN read: the parts of a query within the query, nothing for a
        table.
    """

    node: exp.Select
    sources: Mapping[str, Derived]

    def outputs(self) -> list[Output] | None:
        """Its output columns; ``None`` when a ``*`` stands for columns that are not known."""
        found: list[Output] = []
        for item in self.node.selects:
            if not item.is_star:
                name = item.alias_or_name if isinstance(item, exp.Alias | exp.Column) else ""
                found.append(Output(name, item.unalias(), self))
                continue
            columns = self._behind_star(item)
            if columns is None:
                return None
            found += columns
        return found

    def origins(self, column: exp.Column) -> list[Output]:
        """What a column of a query within the query is computed from, once for each part of a UNION.

        :param column: a column that this SELECT reads.
        :returns: nothing for the column of a table.
        """
        wanted, only = column.name.lower(), column.table.lower()
        for alias, derived in self.sources.items():
            if only in ("", alias):
                names = [name.lower() for name in derived.names() or ()]
                if wanted in names:
                    return list(derived.at(names.index(wanted)))
        return []

    def table_columns(self, expression: exp.Expr) -> set[tuple[str, str]]:
        """The columns of tables that an expression of this SELECT is computed from: table, column.

        A column without its table counts for the only table that the SELECT reads.
        """
        found: set[tuple[str, str]] = set()
        tables = {alias: derived.table for alias, derived in self.sources.items() if derived.table}
        for column in expression.find_all(exp.Column):
            origins = self.origins(column)
            for origin in origins:
                found |= origin.select.table_columns(origin.expression)
            table = tables.get(column.table.lower()) if column.table else None
            if not column.table and not origins and len(tables) == 1:
                (table,) = tables.values()
            if table and not column.is_star:
                found.add((table, column.name.lower()))
        return found

    def _behind_star(self, item: exp.Expr) -> list[Output] | None:
        if any(join.args.get("using") for join in self.node.args.get("joins") or ()):
            return None
        only = item.table.lower() if isinstance(item, exp.Column) else ""
        found: list[Output] = []
        for alias, derived in self.sources.items():
            if only in ("", alias):
                names = derived.names()
                if names is None:
                    return None
                found += [Output(name, exp.column(name, table=alias), self) for name in names]
        return found or None


@dataclass(frozen=True)
class Output:
    """An output column.

    :param name: its name, empty when the query gives it none.
    :param expression: what it is computed from, without its alias.
    :param select: the SELECT in which the expression stands.
    """

    name: str
    expression: exp.Expr
    select: Select


@dataclass(frozen=True)
class Derived:
    """A query within a query, or a table.

    :param parts: the SELECTs that a UNION puts together, or the only one; none for a table.
    :param renamed: names of the columns behind its alias, if there are any.
    :param table: name of the table, in lower case; empty for a query.
    """

    parts: tuple[Select, ...] = ()
    renamed: tuple[str, ...] = ()
    table: str = ""

    def names(self) -> list[str] | None:
        """Names of its columns; ``None`` when they are not known."""
        if self.renamed:
            return list(self.renamed)
        columns = self.parts[0].outputs() if self.parts else None
        return None if columns is None else [column.name for column in columns]

    def at(self, place: int) -> Iterator[Output]:
        """The column at a place, once for each part of a UNION."""
        for part in self.parts:
            columns = part.outputs()
            if columns is not None and place < len(columns):
                yield columns[place]


def parsed(sql: str) -> exp.Expr | None:
    """Parse a query leniently, with the places of its parts.

    :param sql: the query.
    :returns: ``None`` when it cannot be read as a query.
    """
    try:
        trees = AmcCalls().parse(sql)
    except (SqlglotError, RecursionError):
        return None
    return trees[0] if len(trees) == 1 and isinstance(trees[0], exp.Query) else None


def selects(tree: exp.Expr, ctes: Mapping[str, Derived] | None = None) -> list[Select]:
    """The SELECTs whose rows are those of a query: several for a UNION.

    :param tree: the query.
    :param ctes: the WITH queries around it, by name.
    """
    known = dict(ctes or {})
    clause = tree.args.get("with_") or tree.args.get("with")
    for cte in clause.expressions if clause is not None else ():
        known[cte.alias.lower()] = Derived(tuple(selects(cte.this, known)), _renamed(cte))
    if isinstance(tree, exp.Subquery):
        return selects(tree.this, known)
    if isinstance(tree, exp.SetOperation):
        return [*selects(tree.this, known), *selects(tree.expression, known)]
    if not isinstance(tree, exp.Select):
        return []
    start = tree.args.get("from_") or tree.args.get("from")
    relations = [start.this, *(start.this.args.get("joins") or ())] if start is not None else []
    relations += tree.args.get("joins") or ()
    sources: dict[str, Derived] = {}
    for relation in relations:
        node = relation.this if isinstance(relation, exp.Join) else relation
        sources[node.alias_or_name.lower() or f"${len(sources)}"] = _derived(node, known)
    return [Select(tree, sources)]


def output_names(sql: str) -> list[str] | None:
    """Names of the columns that a query gives, empty for those that it does not name.

    :param sql: the query.
    :returns: ``None`` when the text alone does not tell.
    """
    tree = parsed(sql)
    try:
        found = selects(tree) if tree is not None else []
        columns = found[0].outputs() if found else None
    except RecursionError:
        return None
    return None if columns is None else [column.name for column in columns]


def column_sources(sql: str) -> list[list[tuple[str, str]]] | None:
    """For each column that a query gives, the columns of tables that it is computed from: table, column.

    :param sql: the query.
    :returns: ``None`` when the text alone does not tell.
    """
    tree = parsed(sql)
    found: list[set[tuple[str, str]]] = []
    try:
        for select in selects(tree) if tree is not None else ():
            columns = select.outputs()
            if columns is None:
                return None
            found += [set() for _ in columns[len(found) :]]
            for number, column in enumerate(columns):
                found[number] |= column.select.table_columns(column.expression)
    except RecursionError:
        return None
    return [sorted(sources) for sources in found] or None


def tables(sql: str) -> list[str]:
    """Names of the tables that a query reads, in lower case as AMC writes them, sorted.

    :param sql: the query.
    :returns: nothing when it cannot be read.
    """
    tree = parsed(sql)
    if tree is None:
        return []
    # A name of a WITH query hides the table of the same name, wherever it stands: AMC has no two of them.
    hidden = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    found = {_table_name(table) for table in tree.find_all(exp.Table)}
    return sorted(found - hidden - {""})


def _derived(node: exp.Expr, ctes: Mapping[str, Derived]) -> Derived:
    if isinstance(node, exp.Subquery):
        return Derived(tuple(selects(node, ctes)), _renamed(node))
    if isinstance(node, exp.Table) and not node.db and node.name.lower() in ctes:
        found = ctes[node.name.lower()]
        return Derived(found.parts, _renamed(node) or found.renamed)
    return Derived((), _renamed(node), _table_name(node) if isinstance(node, exp.Table) else "")


def _renamed(node: exp.Expr) -> tuple[str, ...]:
    alias = node.args.get("alias")
    columns: Sequence[exp.Expr] = (alias.args.get("columns") or ()) if isinstance(alias, exp.TableAlias) else ()
    return tuple(column.name for column in columns)


def _table_name(table: exp.Table) -> str:
    if not isinstance(table.this, exp.Anonymous):
        return ".".join(part.name for part in table.parts).lower()
    # TABLE(EXTEND_TIME_WINDOW('dsp_impressions', 'P7D', 'P0D'))
    literal = next((node for node in table.this.find_all(exp.Literal) if node.is_string), None)
    return str(literal.this).lower() if literal is not None else ""
