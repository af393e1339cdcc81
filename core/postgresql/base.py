"""The database backend. Django loads it by this module's name."""

from select import POLLIN, POLLPRI, poll

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Replaces a connection that the server has closed before the next request uses it.

    A database that restarts closes the connections of all threads, and each would fail one request
    before it connects again. The server's last words wait in the socket meanwhile, and looking for
    them costs two microseconds and no round trip, unlike CONN_HEALTH_CHECKS. Nothing is asked
    twice: no statement has been sent yet.
    """

    def close_if_unusable_or_obsolete(self) -> None:
        """Called before and after every request, outside of transactions."""
        if self.connection is not None and not self.in_atomic_block and self._hears_something():
            self.errors_occurred = True  # so Django asks whether the connection works
        super().close_if_unusable_or_obsolete()

    def _hears_something(self) -> bool:
        """Whether the server has sent something unasked, or has closed the connection."""
        try:
            descriptor = self.connection.fileno()
        except psycopg.Error:
            return True
        socket = poll()
        socket.register(descriptor, POLLIN | POLLPRI)
        return bool(socket.poll(0))  # errors and hang-ups are always reported


def replace_if_lost(connection: BaseDatabaseWrapper) -> None:
    """Do what Django does before a request, for code outside of one. Nothing in a transaction."""
    is_idle = connection.autocommit and not connection.in_atomic_block
    if connection.connection is not None and is_idle:
        connection.close_if_unusable_or_obsolete()
