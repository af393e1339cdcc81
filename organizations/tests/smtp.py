"""A real mail server on the loopback interface, and a stand-in for the worker."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from organizations.people.mailing import QUEUE

LINK = re.compile(r"https?://[^/\s]+(/\S+)")


class Mailbox:
    """The mails received. With `refusal` set, the server refuses mail with that reply."""

    refusal = ""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self._done: set[int] = set()

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        if self.refusal:
            return self.refusal
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 taken"

    def queued(self) -> list[dict[str, str]]:
        """The arguments of waiting jobs, oldest first."""
        return [job.args for job in self._waiting()]

    def deliver(self) -> None:
        """Run the waiting jobs, as the worker would."""
        for job in self._waiting():
            self._done.add(job.pk)
            app.tasks[job.task_name].func(**job.args)

    def text(self, number: int = -1) -> str:
        return str(self.mails[number].get_content())

    def link(self, number: int = -1) -> str:
        """The path of the first link in the mail."""
        return LINK.findall(self.text(number))[0]

    def _waiting(self) -> list[ProcrastinateJob]:
        jobs = ProcrastinateJob.objects.filter(queue_name=QUEUE).exclude(pk__in=self._done)
        return list(jobs.order_by("id"))


@contextmanager
def mail_server(settings: Any) -> Iterator[Mailbox]:
    """Run the server, and configure the product to use it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    settings.EMAIL_URL = f"smtp://127.0.0.1:{port}"
    settings.EMAIL_BACKEND = "core.mail_deadline.SmtpBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.DEFAULT_FROM_EMAIL = "AgentIdP <agentidp@example.com>"
    try:
        yield mailbox
    finally:
        controller.stop()
