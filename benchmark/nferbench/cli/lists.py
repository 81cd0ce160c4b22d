"""The commands that list what is registered: methods, datasets, recognisers, detectors, metrics and plugins."""

from __future__ import annotations

from typing import Annotated

import typer

from nferbench.cli.options import Change, Plugin
from nferbench.cli.output import say, table, tell_failures


def methods(
    preset: Annotated[
        str, typer.Option(help="Sizes: paper, lite, small, brief, quick, study or a .yaml file.")
    ] = "paper",
    plugin: Plugin = [],  # noqa: B006
    change: Change = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="With networks, their sizes and who shares them.")] = False,
) -> None:
    """List the translation methods, and the rows and studies of a preset."""
    from nferbench.cli.catalogue import method_rows, methods_json, presets_with_studies, study_rows, variant_rows
    from nferbench.planning.plugins import load_plugins

    plugins = tell_failures(load_plugins(plugin))
    if as_json:
        typer.echo(methods_json(plugins, preset, tuple(change)))
        return
    variants = variant_rows(plugins, preset, tuple(change))
    studies = study_rows(plugins, preset, tuple(change))
    table(("name", "title", "group", "heterogeneous", "uses pairs"), method_rows(plugins))
    if variants:
        table(("row", "title", "method", "with", "--methods"), variants)
    if studies:
        table(("study", "method", "varies", "values", "held"), studies)
    else:
        say(f"preset {preset} has no studies; --preset {' or '.join(presets_with_studies())} lists some")


def datasets(plugin: Plugin = []) -> None:  # noqa: B006
    """List the data sets."""
    from nferbench.cli.catalogue import dataset_rows
    from nferbench.planning.plugins import load_plugins

    table(("name", "title", "extra set", "preset"), dataset_rows(tell_failures(load_plugins(plugin))))


def fer_models(plugin: Plugin = []) -> None:  # noqa: B006
    """List the expression recognisers."""
    from nferbench.cli.catalogue import fer_rows
    from nferbench.planning.plugins import load_plugins

    table(("name", "title"), fer_rows(tell_failures(load_plugins(plugin))))


def detectors(plugin: Plugin = []) -> None:  # noqa: B006
    """List the face detectors, and what those that are not ready lack."""
    from nferbench.cli.catalogue import detector_rows
    from nferbench.planning.plugins import load_plugins

    table(("name", "title", "landmarks", "ready"), detector_rows(tell_failures(load_plugins(plugin))))


def metrics(
    plugin: Plugin = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="With settings, notes and what is printed.")] = False,
) -> None:
    """List the image metrics and the libraries of them, and what those that are not ready lack."""
    from nferbench.cli.catalogue import metric_rows, metrics_json
    from nferbench.planning.plugins import load_plugins

    plugins = tell_failures(load_plugins(plugin))
    if as_json:
        typer.echo(metrics_json(plugins))
        return
    table(("name", "title", "better", "real NIR", "ready"), metric_rows(plugins))


def plugins(
    plugin: Plugin = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="One entry a plugin, those that did not load too.")] = False,
) -> None:
    """List the plugins, what each registered, and what of them was left out and why."""
    from nferbench.cli.catalogue import plugin_rows, plugins_json
    from nferbench.planning.plugins import load_plugins

    loaded = load_plugins(plugin)
    if as_json:
        typer.echo(plugins_json(loaded))
        return
    table(("plugin", "from", "hook", "names"), plugin_rows(loaded))
    for failure in loaded.failures:
        say(str(failure))
