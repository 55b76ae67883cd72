"""A real SMTP server of one's own (aiosmtpd), and the links in what it receives."""

from __future__ import annotations

import asyncio
import re
from email import message_from_bytes
from email.message import Message
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller

from harness.ports import PortLease

WAIT_S = 20.0


class Mailbox:
    """Receives on 127.0.0.1; `next` waits for a mail."""

    def __init__(self) -> None:
        self._lease = PortLease()
        self._mails: asyncio.Queue[Message] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self.refuse_next = 0
        self._controller = Controller(self, hostname="127.0.0.1", port=self._lease.port)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._lease.port}"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refuse_next > 0:
            self.refuse_next -= 1
            return "451 Greylisted, try again later"
        mail = message_from_bytes(envelope.content)
        self._loop.call_soon_threadsafe(self._mails.put_nowait, mail)
        return "250 OK"

    async def __aenter__(self) -> Mailbox:
        await asyncio.to_thread(self._controller.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._controller.stop)
        self._lease.release()

    async def next(self) -> Message:
        async with asyncio.timeout(WAIT_S):
            return await self._mails.get()

    def is_empty(self) -> bool:
        return self._mails.empty()


def token_of(mail: Message) -> str:
    """The token in a mail's link."""
    text = mail.get_payload(decode=True)
    assert isinstance(text, bytes)
    found = re.search(r"/account/mail\?token=([A-Za-z0-9_-]+)", text.decode())
    assert found, text
    return found.group(1)
