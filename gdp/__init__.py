"""What the stages are made of, a folder a question; imports point downwards, to records and utils."""

import sys
from types import TracebackType

MEMORY = "it has not enough memory to start; free some, or raise the limit of `ulimit -v`, then run again"
PACKAGES = "pip install -r requirements.txt, then run again"


def _tell_in_one_line(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Tell why a script could not start: its imports come before its `main`, which tells of everything else."""
    if issubclass(kind, MemoryError | ImportError):
        is_missing = issubclass(kind, ModuleNotFoundError)
        reason = f"{error}; {PACKAGES}" if is_missing else MEMORY
        sys.stderr.write(f"error: cannot start {sys.argv[0]}: {reason}\n")
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _tell_in_one_line
