"""The command line: python -m kdcore --help."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path

from kdcore.errors import UserError
from kdcore.places import data_folder, store_folder
from kdcore.store import Store


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status, 0 or, with a sentence on stderr, 2."""
    options = _parser().parse_args(arguments)
    if getattr(options, "store", None):
        os.environ["KD_STORE"] = options.store  # for networks that start from a run in it
    try:
        options.command(options)
        sys.stdout.flush()
    except UserError as error:
        print(f"kdcore: {error}", file=sys.stderr)
        return 2
    except (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError) as error:
        print(f"kdcore: {error.filename} cannot be written or read: {error.strerror.lower()}.", file=sys.stderr)
        return 2
    except BrokenPipeError:  # as in `python -m kdcore methods | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("kdcore: interrupted; the same line goes on where it was.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kdcore", description=(
        "Train student-teacher pairs with the methods of the papers. Data sets are kept in $KD_DATA "
        f"(now {data_folder()}), runs in $KD_STORE (now {store_folder()})."))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    methods = commands.add_parser("methods", help="list methods and terms with paper, equation and parameters")
    methods.add_argument("--json", action="store_true", help="print the whole catalogue as JSON")
    methods.add_argument("--markdown", action="store_true", help="print the methods without variants as a table")
    methods.set_defaults(command=_methods)

    train = commands.add_parser("train", help="train one run in the foreground; ends with one JSON line of results")
    train.add_argument("config", metavar="CONFIG.json", help="a run's configuration; - reads standard input")
    train.set_defaults(command=_train)

    search = commands.add_parser("search", help="search for a weight on held-out images; can be interrupted and called "
                                 "again")
    search.add_argument("config", metavar="SEARCH.json", help="name, run, method, path, low, high, trials, how and "
                        "seeds: see README.md")
    search.set_defaults(command=_search)

    reproduce = commands.add_parser("reproduce", help="fill a paper's table; can be interrupted and called again")
    reproduce.add_argument("table", nargs="?", help="such as heo-2; left out, all are listed")
    reproduce.add_argument("--budget", default="quick", help="quick (the default), standard or paper")
    reproduce.add_argument("--images", metavar="PATH", help="a folder or zip file of class folders that stands in for "
                           "the table's image set")
    reproduce.add_argument("--columns", nargs="+", default=(), metavar="COLUMN", help="only these, such as 0.1%% 1%%")
    reproduce.add_argument("--rows", nargs="+", default=(), metavar="ROW", help="only these")
    reproduce.add_argument("--out", type=Path, default=Path("reports"), help="folder of the report (default: reports)")
    reproduce.set_defaults(command=_reproduce)

    data = commands.add_parser("data", help="say which image sets are on this machine, or download one")
    data.add_argument("name", nargs="?", help="the set to download")
    data.set_defaults(command=_data)

    export = commands.add_parser("export", help="write an experiment as one zip file, or a run's network as files that "
                                 "load without this project")
    export.add_argument("what", metavar="EXPERIMENT|RUN", help="an experiment's name, or a run's number")
    export.add_argument("--out", type=Path, help="file or folder (default: the name, in this folder)")
    export.set_defaults(command=_export)

    admit = commands.add_parser("import", help="read an exported experiment into the store")
    admit.add_argument("file", type=Path, metavar="FILE.zip")
    admit.set_defaults(command=_import)

    runs = commands.add_parser("runs", help="list runs with their settings and results, or all that they recorded")
    runs.add_argument("experiment", nargs="?", help="only those of an experiment")
    runs.add_argument("--metrics", action="store_true", help="every measurement instead of a line a run")
    runs.add_argument("--out", type=Path, help="a file ending in .csv or .parquet, instead of the screen")
    runs.set_defaults(command=_runs)

    for name, words in (("stop", "stop an experiment's runs, or one run: it keeps what it has"),
                        ("delete", "delete an experiment, or one run; for a day Queue has it back")):
        act = commands.add_parser(name, help=words)
        act.add_argument("what", metavar="EXPERIMENT|RUN", help="an experiment's name, or a run's number")
        act.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
        act.set_defaults(command={"stop": _stop, "delete": _delete}[name])

    chosen = commands.add_parser("settings", help="print this server's settings as a file, each with its sentence")
    chosen.set_defaults(command=_settings)

    levers = commands.add_parser("levers", help="say what makes a step faster, and whether it is on on this machine")
    levers.set_defaults(command=_levers)

    worker = commands.add_parser("worker", help="execute queued runs; the app starts one when a page is opened")
    worker.add_argument("--stay", action="store_true", help="do not end after half an hour without a run: for a "
                        "service that the machine starts")
    worker.set_defaults(command=_worker)

    inspector = commands.add_parser("inspector", help="answer the app's questions; the app starts it by itself")
    inspector.add_argument("address")
    inspector.set_defaults(command=_inspector)

    for command in (train, search, reproduce, export, admit, runs, chosen, worker, inspector):
        command.add_argument("--store", help="folder of the runs, instead of $KD_STORE")
    return parser


def _methods(options: argparse.Namespace) -> None:
    from kdcore.catalogue import catalogue
    from kdcore.methods import OPTIMISERS

    found = catalogue()
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    elif options.markdown:
        print("| method | what is handed over | paper |\n|---|---|---|")
        for name, method in found["methods"].items():
            if not method["ablation"]:
                print(f"| `{name}` | {method['sentence']} | {_source(method)} |")
    else:
        for name, method in found["methods"].items():
            print(f"{name}  ({_source(method)})\n    {method['sentence']}")
            if method["rows"]:
                print(f"    {'; '.join(method['rows'])}")
            for line in method["schedule"]:
                print(f"    {line}")
            for stage in method["stages"]:
                _print_stage(stage, named=len(method["stages"]) > 1)
            if method["optimiser"]:
                print(f"    optimiser in the paper: {method['optimiser']}")
        print("\nTerms, of which methods are made:\n")
        for kind, term in found["terms"].items():
            print(f"{kind}  ({_source(term)})\n    {term['sentence']}")
            for name, field in term["fields"].items():
                print(f"    {name}, by default {field['default']}: {field['description']}")
        print("\nOptimisers of the papers:\n")
        for title, optimiser in OPTIMISERS.items():
            print(f"{title}: {optimiser.words()}")


def _source(entry: dict) -> str:
    """Paper and equations of a method or a term."""
    equations = entry.get("equations", entry.get("equation"))
    return ", ".join(filter(None, (entry["paper"], equations and f"eq. {equations}"))).replace("eq. Prop.", "Prop.")


def _print_stage(stage: dict, named: bool) -> None:
    for key, weighted in stage["objective"].items():
        settings = ", ".join(f"{name} {value}" for name, value in weighted["term"].items() if name != "kind")
        weight = f"{weighted['weight']:g}" + (f" to {weighted['final']:g}" if weighted["final"] is not None else "")
        within = f"{stage['name']}: " if named else ""
        print(f"    {within}{key}: weight {weight}, {weighted['term']['kind']}{f' ({settings})' if settings else ''}")


def _train(options: argparse.Namespace) -> None:
    from kdcore.foreground import train_in_foreground

    print(json.dumps(train_in_foreground(_content(options.config), Store(options.store))))


def _content(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) else "it is not text in UTF-8"
        raise UserError(f"{file} cannot be read: {reason}.") from error


def _search(options: argparse.Namespace) -> None:
    from kdcore.foreground import search_in_foreground

    found = search_in_foreground(_content(options.config), Store(options.store))
    for value, score in sorted(found["tried"].items()):
        print(f"{value:>10g}  {score:.4f}{'  best' if value == found['best'] else ''}")
    print(json.dumps({"best": found["best"], "experiment": found["experiment"]}))


def _reproduce(options: argparse.Namespace) -> None:
    from kdcore.papers import TABLES

    if options.table is None:
        for name, table in TABLES.items():
            print(f"{name:20} {table.paper}, {table.title} ({table.data})\n{'':20} {table.claim}")
        return
    from kdcore.papers.report import markdown
    from kdcore.papers.reproduce import reproduce

    print(markdown(reproduce(options.table, options.budget, Store(options.store), options.out, options.images,
                             options.columns, options.rows)))


def _data(options: argparse.Namespace) -> None:
    from kdcore.data.sources import SOURCES, download

    if options.name is None:
        for name, source in SOURCES.items():
            here = source.present()
            whence = f" {source.whence()}" if source.origin and not here else ""
            print(f"{name:15}{'on this machine' if here else 'not here yet':18}{source.sentence}{whence}")
    elif options.name not in SOURCES:
        raise UserError(f"There is no image set {options.name!r}; choose one of {', '.join(SOURCES)}.")
    else:
        download(options.name)
        print(f"{SOURCES[options.name].title} is in {data_folder()}.")


def _export(options: argparse.Namespace) -> None:
    from kdcore.bundle import export_experiment, export_student

    store = Store(options.store)
    if _is_run(options.what, store):
        folder = options.out or Path(f"run-{options.what}")
        export_student(store, int(options.what), folder)
        print(f"The network of run {options.what} is in {folder}.")
    else:
        file = options.out or Path(f"{store.experiment(options.what)['name'].replace('/', '-')[:60]}.zip")
        export_experiment(store, options.what, file)
        print(f"The experiment is in {file}.")


def _is_run(what: str, store: Store) -> bool:
    return what.isdecimal() and what not in store.experiments()


def _stop(options: argparse.Namespace) -> None:
    store = Store(options.store)
    experiment = None if _is_run(options.what, store) else store.experiment(options.what)["name"]
    runs = [row["id"] for row in store.runs(experiment)] if experiment else [store.run(int(options.what))["id"]]
    store.queue.stop(runs)
    print(f"{options.what} stops, and keeps what it has.")


def _delete(options: argparse.Namespace) -> None:
    store = Store(options.store)
    if _is_run(options.what, store):
        store.bin.delete(int(options.what))
    else:
        store.bin.delete_experiment(store.experiment(options.what)["name"])
    print(f"{options.what} is deleted; for a day, Queue has it back.")


def _import(options: argparse.Namespace) -> None:
    from kdcore.bundle import import_experiment

    print(f"It is the experiment {import_experiment(Store(options.store), options.file)!r} here.")


def _runs(options: argparse.Namespace) -> None:
    from kdcore import frames

    table = (frames.metrics if options.metrics else frames.runs)(options.experiment, Store(options.store))
    match options.out and options.out.suffix:
        case None:
            shown = table if options.metrics else table[[*table.columns.intersection(_SHOWN)]]
            print(shown.to_string(na_rep="") if len(shown) else "There are no runs yet.")
        case ".csv":
            table.to_csv(options.out, index=not options.metrics)
        case ".parquet":
            table.to_parquet(options.out)
        case _:
            raise UserError(f"{options.out} must end in .csv or .parquet.")


_SHOWN = ("name", "method", "seed", "state", "accuracy", "best_accuracy", "seconds", "tags")


def _settings(options: argparse.Namespace) -> None:
    from kdcore import settings

    print(f"# {settings.place()}{'' if settings.place().exists() else ' (not there: all defaults)'}\n")
    print(settings.text(settings.read()))


def _levers(options: argparse.Namespace) -> None:
    from kdcore import device, levers

    for lever, state in levers.states(device.pick()).items():
        print(f"{levers.LEVERS[lever].title}: {state}\n    {levers.LEVERS[lever].sentence}")


def _worker(options: argparse.Namespace) -> None:
    from kdcore.worker import IDLE_SECONDS, work

    work(Store(options.store), math.inf if options.stay else IDLE_SECONDS)
    if "ray" in sys.modules:  # its threads now and then abort a Python that ends in the usual way
        sys.stdout.flush()
        os._exit(0)


def _inspector(options: argparse.Namespace) -> None:
    from kdcore.inspector import serve

    serve(options.address, Store(options.store).folder)


if __name__ == "__main__":
    sys.exit(main())
