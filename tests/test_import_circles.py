"""There are no circular imports, which would force imports into functions, where their order is
up to chance. Test modules do not import each other.
"""

import re
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


def test_no_test_module_takes_helpers_from_another() -> None:
    """Shared helpers are in modules without tests."""
    taking = re.compile(r"^(?:from|import) (?:[\w.]+\.)?tests\.(?:[\w.]+\.)?test_", re.MULTILINE)
    code = [
        path.relative_to(settings.BASE_DIR)
        for path in settings.BASE_DIR.glob("*/**/*.py")
        if not {".venv", "node_modules"} & set(path.parts)
    ]

    found = {str(path) for path in code if taking.search((settings.BASE_DIR / path).read_text())}

    assert len(code) > 500
    assert found == {"tests/test_python_wall.py"}  # which runs them with the other wall disabled
