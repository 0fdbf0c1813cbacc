"""Compare a built wheel with the checkout: python .ci/check_wheel.py WHEEL, from the repository root."""

import sys
import zipfile
from pathlib import Path

FOLDERS = {"optengine": "optengine", "problems": "optengine/problems", "solvers": "optengine/solvers"}
SHIPPED = {".py", ".cu", ".typed"}  # and everything in a folder `data`


def expected() -> set[str]:
    """Names that the wheel must hold, by the files of the checkout."""
    names = {
        f"{target}/{path.relative_to(folder).as_posix()}"
        for folder, target in FOLDERS.items()
        for path in Path(folder).rglob("*")
        if path.is_file() and (path.suffix in SHIPPED or path.parent.name == "data")
    }
    shared = "optengine/integrations/hydra_plugins/"  # stands at the top, beside the plugins of others
    return {
        name.removeprefix("optengine/integrations/") if name.startswith(shared) else name for name in names
    }


def main(wheel: str) -> int:
    """Print what is missing or superfluous; return the number of such files."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = expected()
    for name in sorted(wanted - names):
        print(f"missing from the wheel: {name}")
    for name in sorted(names - wanted):
        print(f"must not be in the wheel: {name}")
    print(f"{Path(wheel).name}: {len(names & wanted)} files as expected, {len(names ^ wanted)} not")
    return len(names ^ wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) > 0)
