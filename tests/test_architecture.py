"""The rules that keep the house in order, read off the source itself."""

import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest

from dfjax import config

PACKAGE = pathlib.Path(__file__).parents[1] / "dfjax"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
}

# Upper floors may import from floors below and from their own, never from above.
FLOORS = [
    {
        "allocator",
        "config",
        "errors",
        "files",
        "html_template",
        "console",
        "registry",
        "tree",
        "compatibility",
        "progress",
        "versions",
        "walk",
        "lists",
        "logistic",
        "pooling",
        "checksums",
        "run_folder",
    },
    {"buckets", "media", "sandbox", "losses", "metrics", "models"},
    {"beam", "distortions", "evidence", "faces"},
    {"corpora"},
    {"data"},
    {"model_card"},
    {"words"},
    {"phrases"},
    {"verdict"},
    {
        "augment",
        "familiarity",
        "steps",
        "contact_sheet",
        "checkpoint",
        "divergence",
        "feature_cache",
        "heartbeat",
        "hosts",
        "lock",
        "optim",
        "preemption",
        "profiling",
        "sharding",
        "utilisation",
        "writer",
        "writers",
    },
    {"recipe", "run"},
    {"weights"},
    {"recognition"},
    {"evaluators", "report"},
    {"head_training"},
    {"clip_training"},
    {"preparation", "train"},
    {"inference"},
    {"doctor", "evaluate", "robustness", "show_batch"},
    {"export", "serve"},
    {"commands"},
    {"cli", "main"},
    {"__main__"},
]


def _imports(tree: ast.AST, *, at_import: bool = False) -> set[str]:
    """Modules imported anywhere, or only those that importing the module loads."""
    found = set()
    for node in ast.walk(tree) if not at_import else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _uses(module: str, name: str, **kwargs) -> bool:
    imports = _imports(MODULES[module], **kwargs)
    return any(found == name or found.startswith(f"{name}.") for found in imports)


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("dlib", ["dfjax.faces"]),
        ("av", ["dfjax.media"]),
        ("orbax.checkpoint", ["dfjax.checkpoint"]),
        ("orbax.export", ["dfjax.export"]),
        ("tensorflow", ["dfjax.writers.tensorboard", "dfjax.export", "dfjax.inference.runtimes"]),
        ("fastapi", ["dfjax.serve"]),
        ("apache_beam", ["dfjax.beam"]),
        ("c2pa", ["dfjax.evidence"]),
    ],
)
def test_library_is_imported_in_its_room_alone(library, homes):
    users = {module for module in MODULES if _uses(module, library)}
    assert {m for m in users if not any(m == h or m.startswith(f"{h}.") for h in homes)} == set()


def test_tensorflow_is_never_loaded_by_importing():
    loaders = ("tensorflow", "clu.metric_writers", "clu.periodic_actions")
    assert [m for m in MODULES for name in loaders if _uses(m, name, at_import=True)] == []


@pytest.mark.parametrize(
    ("function", "homes"),
    [
        ("print", {"dfjax.console", "dfjax.commands.watch"}),  # watch prints JSON
        ("csv.writer", {"dfjax.files"}),
        ("csv.DictWriter", set()),
        ("logging.Formatter", set()),  # `console.Formatter` is one
    ],
)
def test_what_prints_and_writes_tables_makes_names_harmless(function, homes):
    callers = {
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function
    }
    assert callers == homes


def test_data_holds_no_jax_arrays():
    assert [m for m in MODULES if m.startswith("dfjax.data") and _uses(m, "jax")] == []


def test_steps_see_no_config_no_files_and_no_data():
    banned = ("ml_collections", "orbax", "pathlib", "os", "io", "grain", "dfjax.data")
    assert [name for name in banned if _uses("dfjax.steps", name)] == []


def test_config_goes_no_deeper_than_the_commands():
    takers = {
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for arg in (*node.args.args, *node.args.kwonlyargs)
        if isinstance(arg.annotation, ast.Attribute) and arg.annotation.attr == "ConfigDict"
    }
    known = ("train", "evaluate", "recipe", "run", "show_batch")
    assert takers == {f"dfjax.{name}" for name in known}


def test_imports_point_downwards():
    floor = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
    wrong = []
    for module, tree in MODULES.items():
        parts = module.split(".")
        if len(parts) == 1 or parts[1] == "__init__":
            continue
        for found in _imports(tree):
            if not found.startswith("dfjax."):
                continue
            if floor[found.split(".")[1]] > floor[parts[1]]:
                wrong.append(f"{module} imports {found}")
    assert wrong == []


def _dependencies(module: str) -> set[str]:
    """Modules of the package that a module imports anywhere, but for its types alone."""
    names = {name.removesuffix(".__init__"): name for name in MODULES}

    def visit(node: ast.AST):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in names else node.module
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    return {names[name] for name in visit(MODULES[module]) if name in names}


def test_the_module_graph_is_acyclic():
    graph = {module: _dependencies(module) for module in MODULES}
    assert "dfjax.faces.detect" in graph["dfjax.inference.extract"]  # it is not empty
    assert "dfjax.recognition" in graph["dfjax.inference.detector"]  # nor blind in functions
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_importing_sets_no_environment_variable():
    functions = (ast.FunctionDef, ast.ClassDef)
    at_import = [
        (module, node)
        for module, tree in MODULES.items()
        for statement in tree.body
        if not isinstance(statement, functions)
        for node in ast.walk(statement)
    ]
    assert [m for m, node in at_import if getattr(node, "attr", "") in ("environ", "putenv")] == []


def test_importing_touches_neither_backend_nor_tensorflow():
    program = f"""
import sys
for name in {sorted(m.removesuffix(".__init__") for m in MODULES)}:
    __import__(name)
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized(), "a JAX backend was initialised"
assert "tensorflow" not in sys.modules, "TensorFlow was loaded"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_data_worker_loads_neither_tensorflow_nor_dlib():
    program = """
import sys
import dfjax.data.builder, dfjax.data.pipeline
assert not {"tensorflow", "dlib", "av"} & set(sys.modules), set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_field_of_the_config_is_read():
    readers = [
        MODULES[f"dfjax.{name}"] for name in ("recipe", "train", "evaluate", "commands.train")
    ]
    read = {
        node.attr if isinstance(node, ast.Attribute) else node.value
        for tree in readers
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        or (isinstance(node, ast.Constant) and isinstance(node.value, str))
    }
    # These groups are handed on whole, as keyword arguments: an unread one raises TypeError.
    handed_on = {"model", "blend", "optimizer", "degrade", "augment", "evals"}
    base = config.base()
    groups = {name for name in base if hasattr(base[name], "keys")}
    fields = set(base) - groups
    for name in groups - handed_on:
        fields |= set(base[name])
    assert fields - read == set()
    assert handed_on <= read
