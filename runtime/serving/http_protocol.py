"""Which HTTP protocol connections start with: httptools' where there is one, h11's elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.serving.plain_http import PlainHttp

if TYPE_CHECKING:
    import asyncio

HTTP_PROTOCOL: type[asyncio.Protocol]
try:
    from runtime.serving.fast_http import FastHttp as HTTP_PROTOCOL  # noqa: N814 - a choice between two classes
except ImportError:
    # No wheel of httptools for this platform: everything works, at about half the speed.
    HTTP_PROTOCOL = PlainHttp
