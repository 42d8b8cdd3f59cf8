"""Runs the Flask app under gunicorn, on a socket that is bound already."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication

if TYPE_CHECKING:
    from settings import Settings

# A thread that waits for a slow body, or computes, leaves others to answer the ping in its 2 s.
THREADS = 4


class AppServer(BaseApplication):
    """gunicorn, set up by code: it runs in a fork, which has no command line of its own."""

    def __init__(
        self, settings: Settings, *, socket: int, directory: str, behind_nginx: bool, finish_s: int
    ) -> None:
        self._options: dict[str, Any] = {
            "bind": f"fd://{socket}",
            "workers": settings.workers,
            "worker_class": "gthread",
            "threads": THREADS,
            "worker_tmp_dir": directory,
            "preload_app": True,  # the model is loaded once, and the workers share its memory
            "timeout": settings.timeout_s,
            "graceful_timeout": finish_s,
            # Longer than nginx keeps a connection: the end that sends must be the one that closes.
            "keepalive": 75,
            "accesslog": None if behind_nginx else "-",  # nginx has a log of its own
            "access_log_format": '%(h)s "%(r)s" %(s)s %(B)s bytes %(L)s s',
            "control_socket_disable": True,  # it would be written to the home folder
            "pre_fork": _hold_signals,
            "post_worker_init": _release_signals,
            # An endpoint passes on the caller's headers: none of them is to be believed or refused.
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
        }
        os.register_at_fork(after_in_parent=_release_signals)
        logging.getLogger("gunicorn.access").addFilter(_is_no_ping)
        super().__init__()

    def load_config(self) -> None:
        """Hand the options to gunicorn."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Make the app; gunicorn calls this once, before it forks the workers."""
        from wsgi import create_app  # noqa: PLC0415

        return create_app()


def _hold_signals(_arbiter: object, _worker: object) -> None:
    """Keep a SIGTERM that reaches a new worker before its handler is set from being lost.

    gunicorn would not send it again, and kill the worker only after all of the grace.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _release_signals(_worker: object = None) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _is_no_ping(record: logging.LogRecord) -> bool:
    """Whether a line of the access log is worth reading: a ping comes every few seconds."""
    return not (isinstance(record.args, dict) and record.args.get("U") == "/ping")
