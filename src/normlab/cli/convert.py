"""`normlab convert`."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from normlab.cli.options import MODEL_NAME, Json


def convert(
    models: Annotated[
        list[str] | None, typer.Argument(help=f"{MODEL_NAME} None: some of many families.")
    ] = None,
    to: Annotated[str, typer.Option(help="The kind of norm that takes their place.")] = "groupnorm",
    from_: Annotated[
        list[str] | None, typer.Option("--from", help="A kind that is replaced.  [default: all]")
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option(help="Paths such as 'layer1.*'.  [default: all]")
    ] = None,
    only_list: Annotated[
        bool, typer.Option("--list", help="Only list the norms that the models have.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the norms of models built without weights, and what `normlab.convert` makes of them.
    Writes nothing."""
    names = models or []
    _check_kind(to)
    if only_list:
        _list_norms(names, as_json)
    elif len(names) == 1:
        _convert_one(names[0], to, from_, layers, as_json)
    else:
        _convert_each(names, to, from_, layers, as_json)


def _check_kind(to: str) -> None:
    from normlab.errors import NormLabError
    from normlab.norms.registry import declared_kinds

    if to in declared_kinds():
        return
    raise NormLabError(
        f"unknown norm {to!r}: choose one of {', '.join(sorted(declared_kinds()))}; a class that "
        "lies elsewhere takes normlab.convert(model, 'custom', target='my_package.MyNorm')."
    )


def _list_norms(names: Sequence[str], as_json: bool) -> None:
    """Path, class, kind, channels and eps of each norm of each network."""
    from normlab.errors import NormLabError
    from normlab.tools.survey import listed_norms
    from normlab.tools.zoo import FORMS

    if not names:
        raise NormLabError(f"--list needs a model: write {FORMS}.")
    rows: list[Mapping[str, object]] = []
    for name in names:
        rows += listed_norms(name)
    _print_rows(rows, as_json)


def _convert_one(
    name: str,
    to: str,
    from_: Sequence[str] | None,
    layers: Sequence[str] | None,
    as_json: bool,
) -> None:
    """Every norm layer of one network."""
    import json

    from normlab.tools import convert as converting
    from normlab.tools.zoo import build_named

    done = converting.convert(build_named(name), to, from_ or None, layers or None)
    if as_json:
        print(json.dumps([vars(norm) for norm in done.norms], indent=1))
    else:
        print(done)


def _convert_each(
    names: Sequence[str],
    to: str,
    from_: Sequence[str] | None,
    layers: Sequence[str] | None,
    as_json: bool,
) -> None:
    """A row for each network, with a training step of the result; status 1 if a row failed.

    That the new norm refuses an input of the network is a result, and no failure.
    """
    from normlab.tools.survey import survey

    networks = survey(names, to, from_, layers)
    _print_rows([network.columns for network in networks], as_json)
    if any(network.failed for network in networks):
        sys.exit(1)


def _print_rows(rows: Sequence[Mapping[str, object]], as_json: bool) -> None:
    """As JSON or as a table; all rows have the columns of the first."""
    import json

    from normlab.cli.tables import plain_table, wide_console

    if as_json:
        print(json.dumps(rows, indent=1))
        return
    if not rows:
        print("no norm layers")
        return
    table = plain_table(*rows[0])
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    wide_console().print(table)
