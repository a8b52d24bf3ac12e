"""Import a script of ``scripts/``, which is no package."""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path
from types import ModuleType

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"


def load_script(name: str) -> ModuleType:
    """Load ``scripts/<name>.py`` as a module of its own.

    :param name: file name without ``.py``.
    :returns: the module, new at every call.
    """
    spec = util.spec_from_file_location(f"scripts_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module
