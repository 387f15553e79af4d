"""Several workers in processes of their own: ``toy_workers.py FOLDER PORT COUNT PATIENCE_S``; prints its URL and the
workers' ids, and at its end ``ended``. The ledger is ``FOLDER/routes``, as ``toy_process`` reads it.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from pathlib import Path

from kairos.errors import KairosError
from kairos.serving.supervising import supervise
from tests.serving.toy_seat import sit


def main() -> None:
    """Supervises until told to stop."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    folder, port, count, patience_s = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    try:
        supervise(
            partial(sit, folder=folder),
            count=count,
            host="127.0.0.1",
            port=port,
            patience_s=patience_s,
            preload=["tests.serving.toy_seat"],
            scheme="https" if (folder / "cert.pem").exists() else "http",
            on_ready=lambda url, told: print(url, *(each["pid"] for each in told), flush=True),
        )
    except KairosError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    print("ended", flush=True)


if __name__ == "__main__":
    main()
