"""No module needs one that needs it: otherwise imports hide in functions, where their order is by
chance."""

import tomllib
from graphlib import TopologicalSorter

import grimp
from django.conf import settings


def test_no_module_imports_itself_by_way_of_others() -> None:
    settled = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())
    graph = grimp.build_graph(*settled["tool"]["importlinter"]["root_packages"])
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    assert len(imports) > 300
    TopologicalSorter(imports).prepare()  # CycleError names the circle
